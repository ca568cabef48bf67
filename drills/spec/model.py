"""What a drill is, once its file was found right. Defaults and bounds of every setting stand here."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from drills.asking.service import Door, Service
from drills.spec.rules import Choice, Number

TARGETS = ("local", "external")
JUDGED_ON = ("worst", "median")
ACCELERATORS = ("auto", "cpu", "cuda", "simulated")
REPLICATION = ("async", "semisync", "sync")
PHASES = ("before", "during", "after", "post_fault")


@dataclass(frozen=True)
class Region:
    """The size of one region."""

    nodes: Annotated[int, Number("nodes", at_least=1, at_most=16, whole=True), "Nodes in the region."] = 2


@dataclass(frozen=True)
class Topology:
    """What is deployed before anything is broken."""

    primary: Annotated[Region, "The region that serves while nothing is broken."] = Region()
    standby: Annotated[Region, "The region that takes over."] = Region()
    replication: Annotated[
        str,
        Choice(REPLICATION),
        "When an event is acknowledged: stored on the primary (async), in both regions or provably alone "
        "(semisync), always in both regions (sync).",
    ] = "semisync"
    accelerator: Annotated[
        str | None,
        Choice(ACCELERATORS),
        "Where the nodes compute; without it the command line or the machine decides.",
    ] = None


@dataclass(frozen=True)
class Mix:
    """Shares of the load's requests; they sum to 1, and a share left out is 0."""

    recommend: Annotated[float, Number("ratio", at_least=0, at_most=1), "Share of recommendations."] = 0.0
    search: Annotated[float, Number("ratio", at_least=0, at_most=1), "Share of search requests."] = 0.0
    event: Annotated[float, Number("ratio", at_least=0, at_most=1), "Share of events written."] = 0.0


@dataclass(frozen=True)
class Load:
    """The users that are on the service all through a trial."""

    rate: Annotated[
        float, Number("requests a second", at_least=0, at_most=5000), "Requests a second, all users together."
    ] = 100.0
    users: Annotated[int, Number("users", at_least=1, at_most=10_000, whole=True), "Users at a time."] = 30
    workers: Annotated[
        int,
        Number("processes", at_least=1, at_most=64, whole=True),
        "Processes that send the load; they share rate and users.",
    ] = 1
    mix: Annotated[Mix, "What the users do: shares that sum to 1."] = Mix(0.7, 0.15, 0.15)


@dataclass(frozen=True)
class ProbeRates:
    """The open-loop probes that the measures come from; an RTO is as exact as the probe interval."""

    reads_per_s: Annotated[
        float, Number("requests a second", at_least=0, at_most=1000), "Recommendations asked for, a second."
    ] = 50.0
    writes_per_s: Annotated[
        float, Number("requests a second", at_least=0, at_most=1000), "Events written, a second."
    ] = 50.0
    quality_per_s: Annotated[
        float, Number("requests a second", at_least=0, at_most=1000), "Held-out users asked for, a second."
    ] = 20.0
    evaluation_users: Annotated[
        int, Number("users", at_least=1, at_most=100_000, whole=True), "Size of the sample of held-out users."
    ] = 200
    timeout_s: Annotated[
        float, Number("s", above=0, at_most=60), "A probe without an answer after this time has failed."
    ] = 2.0


@dataclass(frozen=True)
class Recovery:
    """When the service counts as recovered (the ``rto_*`` measures)."""

    sustain_s: Annotated[
        float, Number("s", above=0, at_most=600), "A recovery counts when it holds over this whole window."
    ] = 2.0
    latency_bound_s: Annotated[
        float, Number("s", above=0, at_most=60), "An answer slower than this is no recovery."
    ] = 1.0
    prompt_s: Annotated[
        float, Number("s", above=0, at_most=60), "95 % of a window's answers must be at least this fast."
    ] = 0.4


@dataclass(frozen=True)
class AbortIf:
    """When users are hurt more than the drill is worth."""

    availability_below: Annotated[
        float, Number("ratio", above=0, at_most=1), "Share of requests that must succeed, between 0 and 1."
    ]
    for_s: Annotated[float, Number("s", above=0, at_most=3600), "For how many seconds it must be below."]


@dataclass(frozen=True)
class Guard:
    """When a trial is stopped and everything healed before its method has ended."""

    max_duration_s: Annotated[float, Number("s", above=0, at_most=86_400), "A trial that takes longer is aborted."] = (
        300.0
    )
    abort_if: Annotated[AbortIf | None, "Abort when too few requests succeed for too long."] = None
    lease_s: Annotated[
        float,
        Number("s", at_least=2, at_most=3600),
        "If recdr itself dies or stalls for so long, whatever it broke is healed without it.",
    ] = 15.0


@dataclass(frozen=True)
class Objective:
    """A bound on a measure, in the measure's unit; the ratios are to the baseline's value.

    ``phase`` is one of ``PHASES``, or None for a measure that belongs to no phase.
    """

    measure: str
    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    max_ratio: float | None = None
    phase: str | None = None


@dataclass(frozen=True)
class Variant:
    """One way to run the drill: values that replace those of the experiment's ``configuration``."""

    name: str
    configuration: dict[str, Any] = field(default_factory=dict)


WHEN = ("changed", "fail", "unknown", "pass")
TOLD_WHEN = ("changed", "fail", "unknown")


@dataclass(frozen=True)
class Notify:
    """Somebody who is told what came of the drill.

    ``to_env`` names the environment variable that holds the address: addresses are secrets, and the file is copied into
    every run. ``when`` are those of ``WHEN`` that they are told of.
    """

    to_env: str
    when: tuple[str, ...] = TOLD_WHEN


@dataclass(frozen=True)
class FaultUse:
    """A fault that the method injects, with its arguments after substitution and the line it stands on."""

    name: str
    arguments: dict[str, Any]
    line: int


@dataclass(frozen=True)
class Hook:
    """What recdr runs to steer a service that it did not deploy: a command, or an activity of Chaos Toolkit.

    Exactly one of ``command`` and ``provider`` is given; a command runs in the drill file's folder. ``tolerance`` is
    Chaos Toolkit's, for what a provider answers.
    """

    command: tuple[str, ...] | None
    provider: dict[str, Any] | None
    timeout_s: float
    tolerance: Any = None


class HookArgument(dict[str, Any]):
    """A hook that is an argument of a fault, as the drill file gives it."""


HOOKS = ("deploy", "status", "promote", "fail_back", "teardown")


@dataclass(frozen=True)
class ServiceSettings:
    """A service that recdr did not deploy: how it is asked, where, and for whom.

    ``held_out`` holds the right answers of users, by user; ``folder`` is that of the drill file, where hooks run.
    """

    service: Service
    edge: str
    users: tuple[str, ...]
    items: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    regions: dict[str, Door] = field(default_factory=dict)
    held_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    personal: bool = True
    hooks: dict[str, Hook] = field(default_factory=dict)
    folder: Path = Path()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The ``recdr`` extension of an experiment."""

    target: Annotated[
        str,
        Choice(TARGETS),
        "What is drilled: the lab that recdr deploys (local), or the service described under 'service' (external).",
    ] = "local"
    topology: Annotated[Topology, "What is deployed."] = Topology()
    load: Annotated[Load, "Users during the whole trial."] = Load()
    probes: Annotated[ProbeRates, "The probes that are measured."] = ProbeRates()
    recovery: Annotated[Recovery, "When the service counts as recovered."] = Recovery()
    trials: Annotated[
        int,
        Number("trials", at_least=1, at_most=100, whole=True),
        "How often the method is run; without it once, or once a variant.",
    ] = 1
    judged_on: Annotated[
        str, Choice(JUDGED_ON), "Which trial the objectives are held against: the worst, or the median."
    ] = "worst"
    seed: Annotated[
        int | None,
        Number("", at_least=0, at_most=2**53, whole=True),
        "Seed of everything random (users, the fault's moment); without it a new one is drawn and recorded.",
    ] = None
    settle_s: Annotated[
        float, Number("s", at_least=0, at_most=3600), "Undisturbed seconds under load before the method."
    ] = 5.0
    tail_s: Annotated[float, Number("s", at_least=0, at_most=3600), "Seconds under load after the method."] = 5.0
    guard: Annotated[Guard, "When a trial is stopped early."] = Guard()
    variants: tuple[Variant, ...] = ()
    objectives: dict[str, Objective] = field(default_factory=dict)
    notify: tuple[Notify, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Drill(Settings):
    """A drill file that was found right. ``experiment`` is all of it, for Chaos Toolkit; do not change it."""

    path: Path
    title: str
    description: str
    tags: tuple[str, ...] = ()
    contributions: dict[str, str] = field(default_factory=dict)
    experiment: dict[str, Any] = field(default_factory=dict)
    service: ServiceSettings | None = None
    """The service under test; None for the lab that recdr deploys."""
    injections: tuple[tuple[FaultUse, ...], ...] = ((),)
    """The faults of the method, once for the plain configuration and then once for each variant."""

    def variant_of(self, trial: int) -> Variant | None:
        """The variant of a trial (counted from 1): they take turns. None where the drill has no variants."""
        return self.variants[(trial - 1) % len(self.variants)] if self.variants else None

    def experiment_of(self, trial: int) -> dict[str, Any]:
        """A copy of the experiment with the configuration of the trial's variant."""
        experiment = deepcopy(self.experiment)
        variant = self.variant_of(trial)
        if variant is not None:
            experiment["configuration"].update(deepcopy(variant.configuration))
        return experiment

    def faults(self, variant: Variant | None = None) -> list[FaultUse]:
        """The faults that the method injects, in order, with the arguments they have in ``variant``.

        Arguments that come from the environment and are not known yet stay as written (``${name}``).
        """
        position = 0 if variant is None else 1 + [v.name for v in self.variants].index(variant.name)
        return list(self.injections[position])
