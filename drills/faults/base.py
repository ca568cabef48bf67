"""What a fault is, and how Chaos Toolkit reaches it.

A fault is a frozen dataclass: its fields are its arguments. ``activities`` turns it into the two functions that a
drill file names (``func: inject`` and ``func: heal``), which work inside ``recdr drill run`` and under a plain
``chaos run`` with a lab up.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from drills.faults import alone
from drills.targets.registry import attach
from drills.undo import UndoLog

Activity = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Fidelity:
    """``real`` or ``simulated``, with what the fault does and does not certify, one sentence each."""

    kind: Literal["real", "simulated"]
    certifies: str
    does_not_certify: str


@dataclass(frozen=True)
class Evidence:
    """What was seen from outside the fault. ``observed`` False: nothing was, so the drill says UNKNOWN."""

    observed: bool
    text: str
    details: dict[str, Any] = field(default_factory=dict)


Nodes = Mapping[str, Sequence[str]]
"""The names of each region's nodes, known before anything is deployed."""


@dataclass(frozen=True)
class BlastRadius:
    """What a fault touches and who may feel it: said before anything is done.

    ``places`` are regions, hosts and links (``a to b``, ``a and b``) as drill files name them.
    """

    places: tuple[str, ...]
    text: str


class Fault(Protocol):
    """One way to break something. ``T`` is a target that has every ability in ``needs``."""

    name: ClassVar[str]
    needs: ClassVar[tuple[type, ...]]

    def fidelity(self, target: Any) -> Fidelity: ...

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        """What it touches; pure, so that ``recdr drill plan`` can say it with nothing deployed."""

    def inject(self, target: Any) -> None:
        """Break it; returns once the fault is in force."""

    def took_effect(self, target: Any) -> Evidence:
        """Look from outside the fault whether it is in force."""

    def heal(self, target: Any) -> None:
        """Undo it. Idempotent: before inject, twice, from a fresh process."""

    def healed(self, target: Any) -> Evidence:
        """Look from outside whether everything works again (``observed`` True: it does)."""


@runtime_checkable
class LooksFirst(Protocol):
    """A fault that has to see the target unbroken, to tell its effect from what was so before."""

    def look_first(self, target: Any) -> list[str]:
        """Look before anything is broken; raises TargetError where the fault must not be injected.

        Returns what whoever heals it must know, which ``recall`` is given then, perhaps in another process.
        """

    def recall(self, noted: Sequence[str]) -> None: ...


def wait_for(check: Callable[[], Evidence], timeout_s: float, every_s: float = 0.05) -> Evidence:
    """Ask ``check`` until it observes something or ``timeout_s`` have passed; the last answer is returned."""
    deadline = time.monotonic() + timeout_s
    while True:
        evidence = check()
        if evidence.observed or time.monotonic() >= deadline:
            return evidence
        time.sleep(every_s)


EFFECT_TIMEOUT_S = 5.0
HEAL_TIMEOUT_S = 30.0


def inject(fault: Fault) -> dict[str, Any]:
    """Break something on the current target, with durable intent first and evidence afterwards."""
    target, undo = attach(), UndoLog.current()
    noted = fault.look_first(target) if isinstance(fault, LooksFirst) else []
    alone.hold(target)
    undo.intend(fault.name, arguments(fault), noted)
    begin = time.monotonic_ns()
    try:
        fault.inject(target)
    except Exception:  # half of it may be in force; whoever goes by the undo log heals it again, and looks
        with contextlib.suppress(Exception):
            fault.heal(target)
        raise
    done = time.monotonic_ns()
    undo.injected(fault.name, arguments(fault), asdict(fault.fidelity(target)), begin, done)
    evidence = wait_for(lambda: fault.took_effect(target), getattr(fault, "effect_timeout_s", EFFECT_TIMEOUT_S))
    undo.effect(fault.name, arguments(fault), evidence.observed, evidence.text, evidence.details)
    return asdict(evidence)


def heal(fault: Fault) -> dict[str, Any]:
    """Undo a fault on the current target and confirm from outside that it is gone.

    Healing what is not broken is allowed (rollbacks do) and leaves no trace in the record.
    """
    target, undo = attach(), UndoLog.current()
    broken = undo.intent(fault.name, arguments(fault))
    if broken and isinstance(fault, LooksFirst):
        fault.recall(broken.noted)
    begin = time.monotonic_ns()
    fault.heal(target)
    if broken:
        undo.healed(fault.name, arguments(fault), begin, time.monotonic_ns())
    evidence = wait_for(lambda: fault.healed(target), HEAL_TIMEOUT_S)
    if broken:
        undo.confirmed(fault.name, arguments(fault), evidence.observed, evidence.text)
    return asdict(evidence)


def arguments(fault: Fault) -> dict[str, Any]:
    """The fault's settings as a drill file would write them."""
    return {name: value for name, value in vars(fault).items() if not name.startswith("_")}


def activities(kind: Callable[..., Fault]) -> tuple[Activity, Activity]:
    """The ``inject`` and ``heal`` functions of a fault, with the fault's own arguments as their signature."""

    def inject_(**given: Any) -> dict[str, Any]:
        return inject(kind(**given))

    def heal_(**given: Any) -> dict[str, Any]:
        return heal(kind(**given))

    for function, name in ((inject_, "inject"), (heal_, "heal")):
        function.__name__ = name
        function.__doc__ = f"{name.capitalize()}: {inspect.getdoc(kind)}"
        signature = inspect.signature(kind)
        function.__signature__ = signature.replace(return_annotation=dict)  # type: ignore[attr-defined]
    return inject_, heal_
