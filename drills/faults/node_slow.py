"""A recommender node gets too little processor time, as under a tight CPU limit or with a greedy neighbour.

The other gray failure: it answers, so it is not dead, but it answers late. How late is measured from outside, by the
same burst of requests before and after.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.bursts import Burst, burst
from drills.targets.base import Slowable, Target

LARGEST_SHARE = 0.1
LOOKS_BEFORE = 5
LOOKS = 3
LONGER = 2.0
LONG_S = 0.5


@dataclass(frozen=True)
class NodeSlow:
    """Let ``node`` use no more than ``share`` (default 0.1) of one processor, in periods of 100 ms.

    A helper process measures what the node uses and stops it (SIGSTOP) until the next period once its quota is spent.
    """

    node: str
    share: float = 0.1
    name: ClassVar[str] = "node_slow"
    needs: ClassVar[tuple[type, ...]] = (Slowable,)

    @staticmethod
    def misfit(given: Mapping[str, Any], nodes: Nodes) -> tuple[str, str, str] | None:
        """What is wrong with the arguments together; None where nothing is."""
        if not 0 < given["share"] <= LARGEST_SHARE:
            why = "With more, nobody could tell from outside that it is in force."
            return "share", f"{given['share']} is not above 0 and at most {LARGEST_SHARE}.", why
        return None

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            f"behaviour of a node that gets {self.share:g} of a processor: once it has used its quota of a period of "
            "100 ms it is really stopped, as by a cgroup's cpu.max, but by signals from a helper process",
            "a processor that is slow rather than scarce, caches that neighbours spoil, or quota kept to the "
            "microsecond: the helper looks every 2 ms and charges what it saw too late to the next periods",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        region = self.node.partition("/")[0]
        text = f"1 of {len(nodes[region])} nodes of {region}; it goes on, with {self.share:g} of a processor"
        return BlastRadius((self.node,), text)

    def look_first(self, target: Target) -> list[str]:
        """See how long bursts of requests take the node; returns the median of five, in seconds."""
        median_s = statistics.median(burst(target, self.node).took_s for _ in range(LOOKS_BEFORE))
        self.recall([f"{median_s:.6f}"])
        return [f"{median_s:.6f}"]

    def recall(self, noted: Sequence[str]) -> None:
        object.__setattr__(self, "_before_s", float(noted[0]) if noted else None)

    def inject(self, target: Slowable) -> None:
        target.slow_node(self.node, self.share)

    def took_effect(self, target: Target) -> Evidence:
        before_s: float | None = getattr(self, "_before_s", None)
        if before_s is None:
            return Evidence(False, "nobody looked before the fault, so nobody can tell whether it is slower now")
        # Each must be slow: the machine may have been busy during one.
        seen = min((burst(target, self.node) for _ in range(LOOKS)), key=lambda each: each.took_s)
        text = (
            f"{seen.text} took {self.node} {_ms(seen.took_s)} or more, seen from the edge, and {_ms(before_s)} before"
        )
        return Evidence(seen.took_s >= LONGER * before_s, text, _details(seen, before_s))

    def heal(self, target: Slowable) -> None:
        target.unslow_node(self.node)

    def healed(self, target: Target) -> Evidence:
        before_s: float | None = getattr(self, "_before_s", None)
        bound_s = LONG_S if before_s is None else LONGER * before_s
        seen = burst(target, self.node)
        text = f"{seen.text} took {self.node} {_ms(seen.took_s)}, seen from the edge"
        return Evidence(seen.whole and seen.took_s < bound_s, f"{text}; as ever is less than {_ms(bound_s)}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms"


def _details(seen: Burst, before_s: float) -> dict[str, Any]:
    return {"burst_s": round(seen.took_s, 6), "before_s": round(before_s, 6), "answered": seen.answered}


inject, heal = activities(NodeSlow)
