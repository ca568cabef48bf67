"""What a drill would do, as one document. Nothing is deployed, started or written to find out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from drills import jitter
from drills.baseline import Store, conditions_of, differences
from drills.engine import Options, check_trials
from drills.errors import UsageError
from drills.home import home
from drills.planning import hidden
from drills.planning.steps import Course, courses
from drills.spec import Drill
from drills.spec.arguments import nodes as node_names
from drills.spec.model import ServiceSettings
from drills.system import identity
from drills.targets import opening
from drills.targets.base import REGIONS
from drills.targets.local import doctor, timers
from drills.targets.local.standing import choose_accelerator, misfits, seen
from drills.targets.local.target import LocalTarget
from drills.trial import BASELINE_S

# What these take on two cores with nothing else to do, in seconds: for the expectation only.
DEPLOY_S = 9.0
CLIENTS_S = 2.0
HEALING_S = 3.0
READ_BACK_S = 3.0
RESET_S = 3.0
JUDGING_S = 4.0


@dataclass
class Plan:
    """``refused``: why the drill cannot run here as asked; empty where it can.

    Seconds of ``courses`` count from the beginning of the method, which begins ``method_at_s`` (earliest, latest) after
    users and probes have. ``expected_s`` is what all of it takes by rule of thumb; ``at_most_s`` what the guard allows
    all trials together. ``baseline``: where the figures come from that it is held against.
    """

    drill: str
    title: str
    path: str
    target: dict[str, Any]
    refused: list[str]
    trials: int
    method_at_s: tuple[float, float]
    courses: list[Course]
    steady_state: list[str]
    load: dict[str, Any]
    probes: dict[str, Any]
    settle_s: float
    tail_s: float
    guard: dict[str, Any]
    healing: list[str]
    objectives: dict[str, dict[str, Any]]
    baseline: str
    expected_s: dict[str, float] = field(default_factory=dict)
    at_most_s: float = 0.0

    def to_document(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)


def plan(drill: Drill, options: Options) -> Plan:
    """What ``recdr drill run`` would do with this drill and these options; nothing is done."""
    lab = None if drill.service is not None or options.ephemeral else seen()
    accelerator = None
    if drill.service is None:
        accelerator = lab.deployment.accelerator if lab else choose_accelerator(drill, options.accelerator)
    period = _period_s(drill, lab)
    found = Plan(
        drill=drill.path.name,
        title=drill.title,
        path=str(drill.path),
        target=_target(drill, lab, accelerator),
        refused=_refused(drill, options, lab),
        trials=options.trials or drill.trials,
        method_at_s=(drill.settle_s, drill.settle_s + period),
        courses=courses(drill, accelerator, _nodes(drill)),
        steady_state=_steady_state(drill),
        load=dataclasses.asdict(drill.load),
        probes=dataclasses.asdict(drill.probes),
        settle_s=drill.settle_s,
        tail_s=drill.tail_s,
        guard=dataclasses.asdict(drill.guard),
        healing=_healing(drill, lab),
        objectives={name: _bounds(objective) for name, objective in drill.objectives.items()},
        baseline="",
    )
    needed, found.baseline = _baseline(drill, options)
    found.expected_s = _expected(found, drill, needed, lab)
    found.at_most_s = found.trials * drill.guard.max_duration_s
    return found


def _target(drill: Drill, lab: LocalTarget | None, accelerator: str | None) -> dict[str, Any]:
    if drill.service is not None:
        return _service(drill.service)
    topology = drill.topology
    return {
        "kind": drill.target,
        "lab": "standing" if lab else "own",
        "edge": lab.deployment.edge_url if lab else None,
        "nodes": {"primary": topology.primary.nodes, "standby": topology.standby.nodes},
        "replication": topology.replication,
        "accelerator": accelerator,
    }


def _service(settings: ServiceSettings) -> dict[str, Any]:
    """The service by its addresses and hooks; of headers only the names, for values may be secrets."""
    asks = {"read": settings.service.read, "write": settings.service.write}
    headers = {name for ask in asks.values() if ask is not None for name, _ in _headers(ask)}
    return {
        "kind": "external",
        "lab": None,
        "edge": hidden.address(settings.edge),
        "regions": {region: hidden.address(door.url) for region, door in settings.regions.items()},
        "headers": sorted(headers | {name for door in settings.regions.values() for name in door.headers}),
        "hooks": {name: hidden.hook(found) for name, found in settings.hooks.items()},
        "folder": str(settings.folder),
    }


def _headers(ask: Any) -> list[tuple[str, str]]:
    return list(dict(ask.headers).items())


def _refused(drill: Drill, options: Options, lab: LocalTarget | None) -> list[str]:
    said = []
    for check in (check_trials, _check_target, _check_host, _check_baseline):
        try:
            check(drill, options)
        except UsageError as error:
            said.append(str(error))
    if lab is not None:
        asked = options.accelerator or drill.topology.accelerator
        wrong = misfits(lab, drill.topology, None, asked)
        said += [f"the lab that is up has {'; '.join(wrong)}: add --ephemeral for a lab of its own"] if wrong else []
    return said


def _check_target(drill: Drill, options: Options) -> None:
    opening.check_drill(drill, options.wanted)


def _check_host(drill: Drill, options: Options) -> None:
    if drill.service is None and (options.ephemeral or seen() is None):
        doctor.require()


def _check_baseline(drill: Drill, options: Options) -> None:
    if options.require_baseline and _baseline(drill, options)[0]:
        raise UsageError(f"no baseline is accepted for {drill.path.name}: record one with 'recdr baseline record'")


def _baseline(drill: Drill, options: Options) -> tuple[bool, str]:
    """Whether one would be recorded, and where the one it is held against comes from."""
    if options.baseline is not None:
        return False, f"{options.baseline}, as asked"
    conditions = conditions_of(drill, identity(drill.service) if drill.service is not None else "")
    for found in reversed(Store.of(home()).all()):
        others = differences(found.conditions, conditions)
        if drill.service is None:  # which model is served is known once it is there
            others = [other for other in others if not other.startswith("identity")]
        if found.accepted_at and not others:
            model = "" if drill.service is not None else ", if the model is still the same"
            return False, f"{found.id}, recorded earlier{model}"
    return True, "none is accepted yet, so one is recorded first, with nothing broken"


def _healing(drill: Drill, lab: LocalTarget | None) -> list[str]:
    """Who brings back what a drill broke, should its own steps not do it."""
    said = [
        "What is still in force when the method has ended, failed or was aborted, recdr heals, and looks from outside "
        "whether it is healed.",
        "On Ctrl-C, SIGTERM, or when the terminal closes, it heals first and then ends (exit code 130).",
    ]
    lease = getattr(drill.guard, "lease_s", None)
    if isinstance(lease, int | float):
        said.append(
            f"If recdr dies or hangs while a fault is in force, the fault is healed without it after {lease:g} s."
        )
    if drill.service is not None:
        said.append("What a killed recdr left broken: recdr drill heal.")
    elif lab is None:
        said.append("The lab is the drill's own: it ends with recdr, even after kill -9, and everything in it.")
    else:
        said.append("The lab stays: what a killed recdr left broken in it, recdr drill heal undoes.")
    return said


def _expected(found: Plan, drill: Drill, records_baseline: bool, lab: LocalTarget | None) -> dict[str, float]:
    """Seconds by what they are spent on; unknown pauses count as nothing."""
    each = [course.method_s or 0.0 for course in found.courses]
    methods = sum(each[number % len(each)] for number in range(found.trials))
    around = CLIENTS_S + drill.settle_s + drill.tail_s + HEALING_S + READ_BACK_S
    asked = drill.probes.quality_per_s > 0
    once = drill.probes.evaluation_users / drill.probes.quality_per_s + 1.0 if asked else BASELINE_S
    told = {
        "deploying": DEPLOY_S if drill.service is None and lab is None else RESET_S,
        "baseline": max(drill.settle_s, once) + CLIENTS_S if records_baseline else 0.0,
        "trials": methods + found.trials * around + (found.trials - 1) * RESET_S,
        "judging": JUDGING_S,
    }
    return {**told, "total": sum(told.values())}


def _period_s(drill: Drill, lab: LocalTarget | None) -> float:
    """By how much (s) the beginning of the method differs between trials."""
    if drill.service is not None:
        return jitter.PERIOD_S
    return jitter.period_s(lab.deployment.about if lab else {"timers": timers.stated(None)})


def _nodes(drill: Drill) -> dict[str, list[str]]:
    names = node_names(drill.topology)
    return {region: [name for name in names if name.startswith(f"{region}/")] for region in REGIONS}


def _steady_state(drill: Drill) -> list[str]:
    probes = (drill.experiment.get("steady-state-hypothesis") or {}).get("probes", ())
    return [str(probe.get("name") or probe.get("ref")) for probe in probes]


def _bounds(objective: Any) -> dict[str, Any]:
    return {
        name: value for name, value in dataclasses.asdict(objective).items() if name != "measure" and value is not None
    }
