"""More users than usual, all of a sudden: a sale, a push message, a crawler, or another region's users.

Nothing of the service is touched: the drill's own load is multiplied. So it works on any target, needs a load that
runs, and its evidence is the record: what the users really sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from drills import surge
from drills.errors import UsageError
from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.naming import shown
from drills.spec.rules import Number
from drills.surge import Load
from drills.undo import RUN_VARIABLE, TRIAL_VARIABLE

SEEN_S = 1.0
REACHED = 0.8
"""How much of the load's change must be on record to count as seen: users are random, and a closed loop lags."""


@dataclass(frozen=True)
class LoadSurge:
    """Multiply the load's rate by ``factor`` until it is healed or, with ``seconds``, for so long: a rush of users."""

    factor: Annotated[float, Number("", above=1, at_most=20)]
    seconds: Annotated[float, Number("s", at_least=0, at_most=3600)] = 0.0
    name: ClassVar[str] = "load_surge"
    needs: ClassVar[tuple[type, ...]] = ()
    needs_load: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("factor", "seconds"):  # 2 and 2.0 are the same surge, also in the undo log
            object.__setattr__(self, name, float(getattr(self, name)))

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            f"how the service fares with {self.factor:g} times the load: more users, each as patient as before",
            "a crowd that does not wait for answers: each user asks again only once answered",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        until = f"for {self.seconds:g} s" if self.seconds else "until it is healed"
        return BlastRadius((), f"all users: {self.factor:g} times the drill's load {until}; nothing is broken")

    def look_first(self, target: Any) -> list[str]:
        """Find the load; raises UsageError where there is none to multiply."""
        return noted(required(self.name))

    def recall(self, noted: Sequence[str]) -> None:
        """Whoever heals may be another process, without the run in its environment."""
        object.__setattr__(self, "_noted", tuple(noted))

    def inject(self, target: Any) -> None:
        until = time.monotonic_ns() + round(self.seconds * 1e9) if self.seconds else None
        surge.begin(required(self.name).run, self._surge, self.factor, until)

    def took_effect(self, target: Any) -> Evidence:
        load = load_here(self)
        return Evidence(False, "no load is running") if load is None else multiplied(load, self._surge, self.factor)

    def heal(self, target: Any) -> None:
        if run := run_of(self):
            surge.end(run[0], self._surge)

    def healed(self, target: Any) -> Evidence:
        load = load_here(self)
        return (
            Evidence(True, "no load is running any more")
            if load is None
            else back_to_normal(load, self._surge, self.factor)
        )

    @property
    def _surge(self) -> str:
        return f"{self.name} ({shown({'factor': self.factor, 'seconds': self.seconds})})"


def multiplied(load: Load, name: str, factor: float) -> Evidence:
    """Observed: within the last second the users sent so many times what they would without this surge.

    A service that hangs holds up its users, and then less is seen than was meant.
    """
    seen, usual = load.offered_rps(SEEN_S), load.rate * surge.of_others(load.run, name)
    text = f"the users sent {seen:.0f} requests a second, where {usual:g} are usual and {usual * factor:g} wanted"
    details = {"offered_rps": seen, "usual_rps": usual, "wanted_rps": usual * factor}
    return Evidence(seen >= usual * (1 + REACHED * (factor - 1)), text, details)


def back_to_normal(load: Load, name: str, factor: float) -> Evidence:
    """Observed: the users send at most what they would without this surge and half of what it added."""
    seen, usual = load.offered_rps(SEEN_S), load.rate * surge.of_others(load.run, name)
    text = f"the users sent {seen:.0f} requests a second, where {usual:g} are usual"
    return Evidence(seen <= usual * (1 + (factor - 1) / 2), text, {"offered_rps": seen, "usual_rps": usual})


def load_here(fault: Any) -> Load | None:
    """The load that ``fault`` multiplies; None where none runs, or nobody knows of one."""
    found = run_of(fault)
    return Load.of(*found) if found else None


def required(fault: str) -> Load:
    run, trial = os.environ.get(RUN_VARIABLE), os.environ.get(TRIAL_VARIABLE)
    load = Load.of(Path(run), int(trial)) if run and trial else None
    if load is None:
        raise UsageError(
            f"{fault} multiplies the load of a drill, and none is running here: run it with 'recdr drill run', with "
            "load.rate above 0 (a plain 'chaos run' has no load)"
        )
    return load


def noted(load: Load) -> list[str]:
    return [str(load.run), str(load.trial)]


def run_of(fault: Any) -> tuple[Path, int] | None:
    """The run and trial that it was injected in: noted before, else those of this process."""
    run, trial = getattr(fault, "_noted", None) or (os.environ.get(RUN_VARIABLE), os.environ.get(TRIAL_VARIABLE))
    return (Path(run), int(trial)) if run and trial else None


inject, heal = activities(LoadSurge)
