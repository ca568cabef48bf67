"""A drill's method by the clock: when each step begins at the earliest, and how long each fault is in force."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drills.faults import FAULTS
from drills.faults.base import Fault, Nodes
from drills.hooks import of
from drills.planning import hidden
from drills.planning.hidden import Mask
from drills.spec import Drill, FaultUse, HookArgument, Variant
from drills.spec.registries import FAULT_PACKAGE
from drills.spec.substitution import resolve, substitute

LEFT_TO_RECDR = "recdr, when the method has ended"


@dataclass
class Step:
    """One activity of the method. Seconds count from the beginning of the method; what steps take themselves is extra.

    ``does``: what kind of step it is, in words; ``runs``: the command or function behind it.
    """

    name: str
    at_s: float | None
    does: str
    runs: str
    pause_after_s: float | None


@dataclass
class Planned:
    """A fault. ``in_force_s`` None: it depends on pauses that are not known yet. ``fidelity`` None: on the target."""

    fault: str
    arguments: dict[str, Any]
    at_s: float | None
    in_force_s: float | None
    healed_by: str
    places: list[str]
    blast_radius: str
    fidelity: dict[str, str] | None


@dataclass
class Course:
    """One way through the method: that of ``variant``, or the only one. ``method_s``: all its pauses together."""

    variant: str | None
    steps: list[Step]
    faults: list[Planned]
    method_s: float | None
    rollbacks: list[str]


@dataclass(frozen=True)
class NotDeployed:
    """Stands for the target where a fault only asks what it would be."""

    accelerator: str | None

    def accelerator_layer(self, node: str, layer: str) -> str:
        if layer != "auto":
            return layer
        return "context" if self.accelerator == "cuda" else "simulated"


def courses(drill: Drill, accelerator: str | None, nodes: Nodes) -> list[Course]:
    """The method as it runs, once for each variant; pure."""
    return [_Walk(drill, variant, accelerator, nodes).course() for variant in drill.variants or (None,)]


class _Walk:
    def __init__(self, drill: Drill, variant: Variant | None, accelerator: str | None, nodes: Nodes) -> None:
        self.drill, self.variant, self.nodes = drill, variant, nodes
        self.target = NotDeployed(accelerator)
        written = drill.experiment.get("configuration") or {}
        configuration = {**written, **(variant.configuration if variant else {})}
        self.mask = Mask(configuration, drill.topology)
        self.names = _AsWritten(resolve(configuration))
        self.uses = list(drill.faults(variant))

    def course(self) -> Course:
        now: float | None = 0.0
        steps: list[Step] = []
        faults: list[tuple[Planned, dict[str, Any]]] = []
        for activity in map(self._defined, self.drill.experiment["method"]):
            pauses = substitute(activity.get("pauses") or {}, self.names)
            before, after = _seconds(pauses.get("before", 0)), _seconds(pauses.get("after", 0))
            now = _sum(now, before)
            steps.append(Step(str(activity.get("name")), now, *self._does(activity), after))
            self._note(activity, now, faults)
            now = _sum(now, after)
        for planned, _ in faults:
            if planned.healed_by == LEFT_TO_RECDR:
                planned.in_force_s = _sum(now, None if planned.at_s is None else -planned.at_s)
        rollbacks = [str(self._defined(step).get("name")) for step in self.drill.experiment.get("rollbacks") or ()]
        name = self.variant.name if self.variant else None
        return Course(name, steps, [planned for planned, _ in faults], now, rollbacks)

    def _defined(self, activity: Mapping[str, Any]) -> dict[str, Any]:
        """The activity itself, where it is only referred to."""
        experiment = self.drill.experiment
        everywhere = [*experiment["method"], *(experiment.get("steady-state-hypothesis") or {}).get("probes", ())]
        name = activity.get("ref")
        return dict(activity if name is None else next(one for one in everywhere if one.get("name") == name))

    def _does(self, activity: Mapping[str, Any]) -> tuple[str, str]:
        """What a step does, and what it runs."""
        written = activity["provider"]
        fault, func = _fault_of(written), str(written.get("func"))
        also = ", in the background" if activity.get("background") else ""
        if fault is not None:
            arguments = substitute(written.get("arguments") or {}, self.names)
            told = arguments.get(func) if isinstance(arguments.get(func), Mapping) else None
            words = {"inject": "breaks", "heal": "heals"}[func]
            return f"{words} {fault}", self.mask(hidden.hook(of(told))) if told else ""
        if written.get("module") == f"{FAULT_PACKAGE}.hooks" and self.drill.service is not None:
            return f"hook {func}", hidden.hook(
                self.drill.service.hooks[func]
            ) if func in self.drill.service.hooks else ""
        kind = "looks" if activity.get("type") == "probe" else "acts"
        return f"{kind}{also}", self.mask(hidden.provider(written))

    def _note(
        self, activity: Mapping[str, Any], now: float | None, faults: list[tuple[Planned, dict[str, Any]]]
    ) -> None:
        """Begin a fault, or end the latest of those that the step heals."""
        written = activity["provider"]
        name = _fault_of(written)
        if name is None:
            return
        if written.get("func") == "inject":
            use = self.uses.pop(0)
            faults.append((self._planned(use, now), use.arguments))
            return
        given = {**_defaults(name), **substitute(written.get("arguments") or {}, self.names)}
        for planned, arguments in reversed(faults):
            if planned.fault == name and arguments == given and planned.healed_by == LEFT_TO_RECDR:
                planned.healed_by = f"the step {activity.get('name')}"
                planned.in_force_s = _sum(now, None if planned.at_s is None else -planned.at_s)
                return

    def _planned(self, use: FaultUse, now: float | None) -> Planned:
        places, text, fidelity = [], "it depends on what only the running drill knows", None
        try:
            fault: Fault = FAULTS[use.name](**use.arguments)
            radius = fault.blast_radius(self.nodes)
            places, text = list(radius.places), radius.text
            fidelity = dataclasses.asdict(fault.fidelity(self.target))
        except Exception:  # noqa: S110 - arguments that are not known yet, or a target that must be there to tell
            pass
        shown = {name: _shown(value) for name, value in use.arguments.items() if value not in (None, "")}
        return Planned(
            use.name,
            self.mask(shown),
            now,
            None,
            LEFT_TO_RECDR,
            self.mask(places),
            self.mask(text),
            self.mask(fidelity),
        )


class _AsWritten(dict[str, Any]):
    """Names that nothing defines, and values that only the running drill knows, stay as they are written."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__({name: value for name, value in names.items() if repr(value) != "UNKNOWN"})

    def __missing__(self, name: str) -> str:
        return f"${{{name}}}"


def _shown(value: Any) -> Any:
    """A hook as its command; anything else as it is."""
    return hidden.hook(of(value)) if isinstance(value, HookArgument | Mapping) else value


def _fault_of(provider: Mapping[str, Any]) -> str | None:
    module = str(provider.get("module", ""))
    name = module.removeprefix(f"{FAULT_PACKAGE}.")
    return name if name in FAULTS and name != module else None


def _defaults(name: str) -> dict[str, Any]:
    return {
        field.name: field.default
        for field in dataclasses.fields(FAULTS[name])  # type: ignore[arg-type]  # every fault is a dataclass
        if field.default is not dataclasses.MISSING
    }


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
