"""Can one region alone carry the peak? The other is taken out of the reads in an orderly way, and the load rises.

This is the exercise before a planned migration or a busy season: nothing is broken, so what fails now fails for want of
capacity alone. Writes stay where the master is: that they move is what region_loss shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Protocol

from drills import surge
from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.load_surge import back_to_normal, load_here, multiplied, noted, required, run_of
from drills.naming import shown
from drills.spec.rules import Number
from drills.targets.base import REGIONS, Drainable, Target
from drills.targets.looking import Look, look_often

LOOKS = 8


class _Target(Target, Drainable, Protocol):
    """What the fault is given."""


@dataclass(frozen=True)
class Capacity:
    """Let ``region`` (default ``standby``) answer all reads alone, at ``peak`` times the drill's load."""

    region: str = "standby"
    peak: Annotated[float, Number("", at_least=1, at_most=20)] = 1.0
    name: ClassVar[str] = "capacity"
    needs: ClassVar[tuple[type, ...]] = (Drainable,)
    needs_load: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "peak", float(self.peak))  # 2 and 2.0 are the same, also in the undo log

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            f"that {self.region} alone answers all reads at {self.peak:g} times the drill's load",
            "writes, which stay with the master's region, and a region that must take over unprepared",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        idle = tuple(nodes[self._other])
        return BlastRadius(
            idle, f"{len(idle)} nodes of {self._other} get no reads; all users: {self.peak:g} times the load"
        )

    def look_first(self, target: Any) -> list[str]:
        """Find the load; raises UsageError where there is none to carry."""
        return noted(required(self.name, self.peak))

    def recall(self, noted: Sequence[str]) -> None:
        """Whoever heals may be another process, without the run in its environment."""
        object.__setattr__(self, "_noted", tuple(noted))

    def inject(self, target: _Target) -> None:
        run = required(self.name, self.peak).run
        target.drain(self._other)
        if self.peak > 1:
            surge.begin(run, self._surge, self.peak)

    def took_effect(self, target: _Target) -> Evidence:
        missing = set(target.nodes_of(self._other)) - set(target.drained())
        if missing:
            return Evidence(False, f"the traffic director still sends reads to {', '.join(sorted(missing))}")
        answered = [seen.region for seen in _reads(target)]
        if wrong := [region or "nobody" for region in answered if region != self.region]:
            return Evidence(
                False, f"{len(wrong)} of {len(answered)} reads were answered by {wrong[0]}, not {self.region}"
            )
        text = f"all of {len(answered)} reads asked through the edge were answered by {self.region}"
        if self.peak == 1:
            return Evidence(True, text)
        load = load_here(self)
        seen = multiplied(load, self._surge, self.peak) if load else Evidence(False, "no load is running")
        return replace(seen, text=f"{text}; {seen.text}")

    def heal(self, target: _Target) -> None:
        target.undrain(self._other)
        if run := run_of(self):
            surge.end(run[0], self._surge)

    def healed(self, target: _Target) -> Evidence:
        if drained := set(target.nodes_of(self._other)) & set(target.drained()):
            return Evidence(False, f"the traffic director sends no reads to {', '.join(sorted(drained))} yet")
        if failed := [seen.error for seen in _reads(target) if seen.error]:
            return Evidence(False, f"{len(failed)} reads through the edge failed: {failed[0]}")
        text = "the traffic director sends reads to every node again, and reads through the edge are answered"
        load = load_here(self)
        if load is None or self.peak == 1:
            return Evidence(True, text)
        seen = back_to_normal(load, self._surge, self.peak)
        return replace(seen, text=f"{text}; {seen.text}")

    @property
    def _other(self) -> str:
        return next(region for region in REGIONS if region != self.region)

    @property
    def _surge(self) -> str:
        return f"{self.name} ({shown({'region': self.region, 'peak': self.peak})})"


def _reads(target: Target) -> Iterator[Look]:
    """What came of a few reads through the edge."""
    edge_alone = replace(target.deployment, doors={})
    return (seen for looks in look_often(edge_alone, ("recommend",), LOOKS) for seen in looks.values())


inject, heal = activities(Capacity)
