"""More users than usual, all of a sudden: a sale, a push message, a crawler, or another region's users.

Nothing of the service is touched: the drill's own load is multiplied. So it works on any target, needs a load that
runs, and its evidence is the record: what the users really sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
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

SEEN_S = (1.0, 4.0)
"""For how long the users are counted, in seconds: at least, and at most."""
SIGMAS = 5.0
"""So far beyond what so many users send by chance must be what counts as seen (requests as a Poisson process)."""
SHORTEST_S = 3.0
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

    @classmethod
    def trouble(cls, arguments: Mapping[str, Any]) -> str | None:
        """What is wrong with the arguments together; None where nothing is."""
        if 0 < arguments.get("seconds", 0) < SHORTEST_S:
            return f"a surge of less than {SHORTEST_S:g} seconds would be over before anybody could see it"
        return None

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
        """Find the load; raises UsageError where there is none, or nobody could tell that it was multiplied."""
        return noted(required(self.name, self.factor))

    def recall(self, noted: Sequence[str]) -> None:
        """Whoever heals may be another process, without the run in its environment."""
        object.__setattr__(self, "_noted", tuple(noted))

    def inject(self, target: Any) -> None:
        until = time.monotonic_ns() + round(self.seconds * 1e9) if self.seconds else None
        surge.begin(required(self.name, self.factor).run, self._surge, self.factor, until)

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
    """Observed: in the last seconds the users sent so many times what they would without this surge.

    A service that hangs holds up its users, and then less is seen than was meant.
    """
    usual = load.rate * surge.of_others(load.run, name)
    seen = load.offered_rps(_window_s(usual, factor))
    text = f"the users sent {seen:.0f} requests a second, where {usual:g} are usual and {usual * factor:g} wanted"
    details = {"offered_rps": seen, "usual_rps": usual, "wanted_rps": usual * factor}
    return Evidence(seen >= usual * (1 + REACHED * (factor - 1)), text, details)


def back_to_normal(load: Load, name: str, factor: float) -> Evidence:
    """Observed: the users send at most what they would without this surge and half of what it added."""
    usual = load.rate * surge.of_others(load.run, name)
    seen = load.offered_rps(_window_s(usual, factor))
    text = f"the users sent {seen:.0f} requests a second, where {usual:g} are usual"
    return Evidence(seen <= usual * (1 + (factor - 1) / 2), text, {"offered_rps": seen, "usual_rps": usual})


def _window_s(usual_rps: float, factor: float) -> float:
    """For how long to count, in seconds, so that chance does not look like a surge of this factor."""
    least, most = SEEN_S
    return min(most, max(least, _needed_s(usual_rps, factor)))


def _needed_s(usual_rps: float, factor: float) -> float:
    return SIGMAS**2 / (usual_rps * (REACHED * (factor - 1)) ** 2)


def load_here(fault: Any) -> Load | None:
    """The load that ``fault`` multiplies; None where none runs, or nobody knows of one."""
    found = run_of(fault)
    return Load.of(*found) if found else None


def required(fault: str, factor: float) -> Load:
    run, trial = os.environ.get(RUN_VARIABLE), os.environ.get(TRIAL_VARIABLE)
    load = Load.of(Path(run), int(trial)) if run and trial else None
    if load is None:
        raise UsageError(
            f"{fault} multiplies the load of a drill, and none is running here: run it with 'recdr drill run', with "
            "load.rate above 0 (a plain 'chaos run' has no load)"
        )
    if factor > 1 and _needed_s(load.rate, factor) > SEEN_S[1]:
        least = 1 + SIGMAS / REACHED / (load.rate * SEEN_S[1]) ** 0.5
        raise UsageError(
            f"{fault}: at {load.rate:g} requests a second nobody could tell {factor:g} times as many from chance: "
            f"ask for {least:.2g} times as many at least, or for a higher load.rate"
        )
    return load


def noted(load: Load) -> list[str]:
    return [str(load.run), str(load.trial)]


def run_of(fault: Any) -> tuple[Path, int] | None:
    """The run and trial that it was injected in: noted before, else those of this process."""
    run, trial = getattr(fault, "_noted", None) or (os.environ.get(RUN_VARIABLE), os.environ.get(TRIAL_VARIABLE))
    return (Path(run), int(trial)) if run and trial else None


inject, heal = activities(LoadSurge)
