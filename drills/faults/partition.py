"""The network between two sets of places goes silent, one way or both: packets vanish, nobody is told.

One way only is what a wrong firewall rule, a lost route or a half-broken line does: what arrives is answered, and the
answer never comes. A connection needs both ways, so it cannot tell one from the other; single datagrams can.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.naming import shown
from drills.targets.base import A_TO_B, Partitionable

Way = tuple[str, str]


@dataclass(frozen=True)
class Partition:
    """Drop every packet between the places in ``a`` and those in ``b`` (comma-separated sites or hosts).

    ``direction`` is ``both``, or ``a_to_b``: what goes from ``a`` to ``b`` vanishes, what comes back arrives.
    """

    a: str
    b: str
    direction: Literal["both", "a_to_b"] = "both"
    name: ClassVar[str] = "partition"
    needs: ClassVar[tuple[type, ...]] = (Partitionable,)

    def pairs(self) -> list[Way]:
        """Each place of ``a`` with each of ``b``."""
        split = ([place.strip() for place in side.split(",")] for side in (self.a, self.b))
        return list(itertools.product(*split))  # type: ignore[arg-type]  # two sides give pairs

    def fidelity(self, target: Any) -> Fidelity:
        one_way = self.direction == A_TO_B
        return Fidelity(
            "real",
            f"behaviour under a silent, complete {'one-way ' if one_way else ''}partition: "
            "real packets between real sockets are dropped",
            "slow or lossy links, or a cut both ways" if one_way else "slow, lossy or one-way links",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        if self.direction == A_TO_B:
            cut = tuple(f"{a} to {b}" for a, b in self.pairs())
            return BlastRadius(cut, f"every packet from {self.a} to {self.b}; those from {self.b} to {self.a} arrive")
        cut = tuple(f"{a} and {b}" for a, b in self.pairs())
        return BlastRadius(cut, f"every packet between {self.a} and {self.b}, both ways")

    def inject(self, target: Partitionable) -> None:
        for a, b in self.pairs():
            target.cut(a, b, self.direction, self._why)

    def took_effect(self, target: Partitionable) -> Evidence:
        if self.direction == A_TO_B:
            return self._one_way(target)
        through = [f"{a} to {b}" for a, b in self.pairs() if target.reachable(a, b) or target.reachable(b, a)]
        if through:
            return Evidence(False, f"new connections still get through: {', '.join(through)}")
        cut = ", ".join(f"{a} and {b}" for a, b in self.pairs())
        return Evidence(True, f"new connections in both directions time out between {cut}")

    def heal(self, target: Partitionable) -> None:
        for a, b in self.pairs():
            target.mend(a, b, self.direction, self._why)

    def healed(self, target: Partitionable) -> Evidence:
        silent = [f"{a} to {b}" for a, b in self.pairs() if not (target.reachable(a, b) and target.reachable(b, a))]
        if silent:
            return Evidence(False, f"still no connection: {', '.join(silent)}")
        return Evidence(True, "new connections get through again in both directions")

    @property
    def _why(self) -> str:
        """Two partitions may share a link, and each must be mended by itself."""
        return shown({"a": self.a, "b": self.b, "direction": self.direction})

    def _one_way(self, target: Partitionable) -> Evidence:
        """Nothing goes from ``a`` to ``b``, and what goes back arrives: datagrams, for connections need both ways."""
        through = [f"{a} to {b}" for a, b in self.pairs() if target.delivered(a, b)]
        if through:
            return Evidence(False, f"datagrams still arrive: {', '.join(through)}")
        back = [(b, a) for a, b in self.pairs()]
        silent = [
            f"{source} to {destination}" for source, destination in back if not target.delivered(source, destination)
        ]
        if silent:
            return Evidence(False, f"the other way is silent too: {', '.join(silent)}")
        cut = ", ".join(f"{a} to {b}" for a, b in self.pairs())
        return Evidence(True, f"datagrams from {cut} vanish, those the other way arrive")


inject, heal = activities(Partition)
