"""The network between two sets of places goes silent: packets vanish, nobody is told."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.targets.base import Partitionable


@dataclass(frozen=True)
class Partition:
    """Drop every packet between the places in ``a`` and those in ``b`` (comma-separated sites or hosts)."""

    a: str
    b: str
    name: ClassVar[str] = "partition"
    needs: ClassVar[tuple[type, ...]] = (Partitionable,)

    def pairs(self) -> list[tuple[str, str]]:
        """Each place of ``a`` with each of ``b``."""
        split = ([place.strip() for place in side.split(",")] for side in (self.a, self.b))
        return list(itertools.product(*split))  # type: ignore[arg-type]  # two sides give pairs

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "behaviour under a silent, complete partition: real packets between real sockets are dropped",
            "slow, lossy or one-way links",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        cut = tuple(f"{a} and {b}" for a, b in self.pairs())
        return BlastRadius(cut, f"every packet between {self.a} and {self.b}, both ways")

    def inject(self, target: Partitionable) -> None:
        for a, b in self.pairs():
            target.cut(a, b)

    def took_effect(self, target: Partitionable) -> Evidence:
        through = [f"{a} to {b}" for a, b in self.pairs() if target.reachable(a, b) or target.reachable(b, a)]
        if through:
            return Evidence(False, f"new connections still get through: {', '.join(through)}")
        cut = ", ".join(f"{a} and {b}" for a, b in self.pairs())
        return Evidence(True, f"new connections in both directions time out between {cut}")

    def heal(self, target: Partitionable) -> None:
        for a, b in self.pairs():
            target.mend(a, b)

    def healed(self, target: Partitionable) -> Evidence:
        silent = [f"{a} to {b}" for a, b in self.pairs() if not (target.reachable(a, b) and target.reachable(b, a))]
        if silent:
            return Evidence(False, f"still no connection: {', '.join(silent)}")
        return Evidence(True, "new connections get through again in both directions")


inject, heal = activities(Partition)
