"""The activities of a drill: what Chaos Toolkit would misread or ignore, and recdr's own faults.

What Chaos Toolkit refuses by itself (names, providers, tolerances) is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drills.spec.arguments import read_arguments, substituted
from drills.spec.document import Document, Where
from drills.spec.model import FaultUse, Topology
from drills.spec.registries import FAULT_PACKAGE, faults
from drills.spec.rules import Choice, choice, close_to, kind_of, mapping, nearest, only_keys, sequence, text
from drills.spec.substitution import UNKNOWN, Unknown, resolve, substitute

ACTIVITY_KEYS = (
    "type", "name", "provider", "ref", "tolerance", "pauses", "background", "timeout", "controls", "secrets",
    "configuration", "dry",
)  # fmt: skip
PROVIDER_KEYS = (
    "type", "module", "func", "arguments", "secrets", "path", "url", "method", "headers", "timeout",
)  # fmt: skip
ACTIVITY_TYPES = Choice(("action", "probe"))
PROVIDER_TYPES = Choice(("python", "process", "http"))
FUNCTIONS = ("inject", "heal")
OTHER_MODULES = ("steady", "hooks")
"""They lie beside the faults and break nothing: a probe, and the activities that run a service's hooks."""
HYPOTHESIS: Where = ("steady-state-hypothesis", "probes")
METHOD: Where = ("method",)
ROLLBACKS: Where = ("rollbacks",)


@dataclass(frozen=True)
class Step:
    """One use of a fault in a method or in rollbacks."""

    where: Where
    func: str
    use: FaultUse


def read_method(doc: Document, topology: Topology, configuration: Mapping[str, Any]) -> tuple[FaultUse, ...]:
    """The faults that the method injects under ``configuration``; raises SpecError for a wrong activity."""
    names = _names(doc, configuration)
    if HYPOTHESIS[0] in doc.data:
        mapping(doc, HYPOTHESIS[:1])
        _need(doc, HYPOTHESIS[:1], ("title",))
        text(doc, (*HYPOTHESIS[:1], "title"), "the title")
    for where in _activities(doc, HYPOTHESIS):
        _check_activity(doc, where, names)
        if _fault_name(doc, where) is not None:
            problem = "a steady-state probe must not break anything"
            raise doc.error((*where, "provider"), problem, "Use the fault in the method.")
    steps = _steps(doc, METHOD, topology, names)
    _check_method(doc, steps)
    for step in _steps(doc, ROLLBACKS, topology, names):
        if step.func == "inject":
            problem = "a rollback must not inject a fault"
            raise doc.error(step.where, problem, "Use func: heal, or leave it to recdr.")
        _check_was_injected(doc, step, steps)
    return tuple(step.use for step in steps if step.func == "inject")


def pauses_s(doc: Document, configuration: Mapping[str, Any]) -> float:
    """How long the method pauses in all, in seconds; pauses that are not known yet count as 0."""
    names = _names(doc, configuration)
    total = 0.0
    for where in _activities(doc, METHOD):
        pauses = substitute(_resolved_activity(doc, where).get("pauses", {}), names)
        total += sum(value for value in pauses.values() if isinstance(value, int | float))
    return total


def _names(doc: Document, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """All that ``${...}`` may refer to; secrets have no value before the drill runs."""
    secrets = doc.data.get("secrets") or {}
    groups = secrets.values() if isinstance(secrets, dict) else ()
    hidden = {name: UNKNOWN for group in groups if isinstance(group, dict) for name in group}
    return {**hidden, **resolve(configuration)}


def _activities(doc: Document, where: Where) -> Iterator[Where]:
    """The places of the activities listed at ``where``; none where that part of the experiment is missing."""
    parent: Any = doc.data
    for depth, step in enumerate(where):
        if depth:
            mapping(doc, where[:depth])
        if step not in parent:
            return
        parent = parent[step]
    for position in range(len(sequence(doc, where))):
        yield (*where, position)


def _steps(doc: Document, where: Where, topology: Topology, names: Mapping[str, Any]) -> list[Step]:
    """The uses of recdr's faults at ``where``, every activity there having been checked."""
    found = []
    for place in _activities(doc, where):
        _check_activity(doc, place, names)
        at = _definition(doc, place)
        fault = _fault_name(doc, at)
        if fault is not None:
            func = _check_fault(doc, at, fault)
            arguments = read_arguments(doc, (*at, "provider"), faults()[fault], topology, names)
            found.append(Step(place, func, FaultUse(fault, arguments, doc.line(place))))
    return found


def _check_activity(doc: Document, where: Where, names: Mapping[str, Any]) -> None:
    activity = mapping(doc, where)
    _refuse_misspelt(doc, where, ACTIVITY_KEYS)
    if "dry" in activity:
        problem = "Chaos Toolkit ignores 'dry' in a file and would run the activity for real"
        raise doc.error((*where, "dry"), problem, "Remove it.")
    if "ref" in activity:
        _definition(doc, where)
    else:
        _check_definition(doc, where)
    if "background" in activity and not isinstance(activity["background"], bool):
        raise doc.error((*where, "background"), "true or false is expected")
    if "pauses" in activity:
        _check_pauses(doc, (*where, "pauses"), names)


def _check_definition(doc: Document, where: Where) -> None:
    """What an activity needs; Chaos Toolkit would refuse it too, but without saying where it stands."""
    _need(doc, where, ("type", "name", "provider"))
    choice(ACTIVITY_TYPES, doc, (*where, "type"))
    text(doc, (*where, "name"), "the name of an activity")
    mapping(doc, (*where, "provider"))
    _refuse_misspelt(doc, (*where, "provider"), PROVIDER_KEYS)
    _need(doc, (*where, "provider"), ("type",))
    choice(PROVIDER_TYPES, doc, (*where, "provider", "type"))


def _need(doc: Document, where: Where, keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in doc.value(where):
            raise doc.error(where, f"{key!r} is missing")


def _refuse_misspelt(doc: Document, where: Where, known: tuple[str, ...]) -> None:
    """Chaos Toolkit ignores keys it does not know; one that is nearly right was not meant to be ignored."""
    for key in doc.value(where):
        if key not in known and close_to(key, known, cutoff=0.8):
            raise doc.error((*where, key), "this key is not known here.", nearest(key, known))


def _check_pauses(doc: Document, where: Where, names: Mapping[str, Any]) -> None:
    mapping(doc, where)
    only_keys(doc, where, ("before", "after"))
    for key in doc.value(where):
        value = substituted(doc, (*where, key), names)
        if isinstance(value, Unknown):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise doc.error((*where, key), f"a plain number of seconds is expected, not {kind_of(value)}")
        if value < 0:
            raise doc.error((*where, key), f"a pause cannot last {value:g} seconds")


def _definition(doc: Document, where: Where) -> Where:
    """Where an activity is written: elsewhere, for one that only refers to another by name."""
    name = doc.value(where).get("ref")
    if name is None:
        return where
    places = {}
    for part in (METHOD, HYPOTHESIS):
        for place in _activities(doc, part):
            places[str(mapping(doc, place).get("name"))] = place
    if not isinstance(name, str) or name not in places or "ref" in doc.value(places[name]):
        raise doc.error((*where, "ref"), f"no activity is called {name!r}.", nearest(str(name), places))
    return places[name]


def _resolved_activity(doc: Document, where: Where) -> dict[str, Any]:
    return mapping(doc, _definition(doc, where))


def _fault_name(doc: Document, where: Where) -> str | None:
    """The fault's name for an activity that uses a module of recdr's faults; None for other activities."""
    provider = doc.value(where).get("provider")
    module = provider.get("module") if isinstance(provider, dict) else None
    if not isinstance(module, str) or not (module + ".").startswith(FAULT_PACKAGE + "."):
        return None
    name = module[len(FAULT_PACKAGE) + 1 :]
    if name in OTHER_MODULES:
        return None
    if name not in faults():
        problem = f"there is no fault {name!r}."
        raise doc.error((*where, "provider", "module"), problem, nearest(name, faults()))
    return name


def _check_fault(doc: Document, where: Where, fault: str) -> str:
    """The function of an activity that uses a fault, after checking how it is used."""
    activity = doc.value(where)
    provider = (*where, "provider")
    if activity.get("type") != "action":
        problem = f"{fault} breaks things, so this must be an action"
        raise doc.error((*where, "type"), problem, "Write type: action.")
    if activity["provider"].get("type") != "python":
        raise doc.error((*provider, "type"), "recdr's faults are Python functions", "Write type: python.")
    func = activity["provider"].get("func")
    if func not in FUNCTIONS:
        problem = f"{fault} has no function {func!r}."
        raise doc.error((*provider, "func"), problem, nearest(str(func), FUNCTIONS))
    if activity.get("background"):
        problem = "Chaos Toolkit never looks at the result of a background action, so a failure would pass"
        raise doc.error((*where, "background"), problem, "Remove it.")
    if "timeout" in activity:
        problem = "Chaos Toolkit ignores 'timeout' for Python actions"
        raise doc.error((*where, "timeout"), problem, "Use guard.max_duration_s of the recdr extension.")
    return str(func)


def _check_method(doc: Document, steps: list[Step]) -> None:
    if "method" not in doc.data:
        raise doc.error((), "'method' is missing: the list of what is done to the service")
    places = list(_activities(doc, METHOD))
    if not places:
        raise doc.error(METHOD, "the method is empty, so nothing would be broken", _NOOP)
    healed = {step.where for step in steps if step.func == "heal"}
    others = [_resolved_activity(doc, place) for place in places if place not in healed]
    if not any(activity.get("type") == "action" for activity in others):
        raise doc.error(METHOD, "the method breaks nothing: it has no action that injects a fault", _NOOP)
    for position, step in enumerate(steps):
        if step.func == "heal":
            _check_was_injected(doc, step, steps[:position])


_NOOP = "To try out a drill without breaking anything, use drills.faults.noop."


def _check_was_injected(doc: Document, heal: Step, before: list[Step]) -> None:
    """Healing something else than was injected leaves the fault in force, unnoticed until the drill ends."""
    injected = [step.use for step in before if step.func == "inject" and step.use.name == heal.use.name]
    if any(use.arguments == heal.use.arguments for use in injected):
        return
    where = (*_definition(doc, heal.where), "provider", "arguments" if injected else "module")
    problem = f"this heals {_shown(heal.use)}, which was not injected before"
    raise doc.error(where, problem, f"Injected: {', '.join(map(_shown, injected))}." if injected else "")


def _shown(use: FaultUse) -> str:
    return f"{use.name}({', '.join(f'{name}={value}' for name, value in use.arguments.items())})"
