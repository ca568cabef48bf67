"""A recommender node gets too little processor time, as under a tight CPU limit or with a greedy neighbour.

The other gray failure: it answers, so it is not dead, but it answers late. How much it still does is measured from
outside, before and after, and must be half or less.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.errors import TargetError
from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.pace import AT_ONCE, SECONDS, pace
from drills.targets.base import Slowable, Target

LARGEST_SHARE = 0.1
LOOKS = 3
SLOWER = 4.0
FEWEST = 10


@dataclass(frozen=True)
class NodeSlow:
    """A node gets too little processor time, as under a tight CPU limit or beside a greedy neighbour.

    ``node`` may use no more than ``share`` (default 0.05) of one processor, in periods of 100 ms. A helper measures
    what it uses, and stops it (SIGSTOP) until the next period once its quota is spent.
    """

    node: str
    share: float = 0.05
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
        """See at what pace the node answers: the median of three looks. Raises TargetError where it does not."""
        answers = round(statistics.median(pace(target, self.node) for _ in range(LOOKS)))
        if answers < FEWEST:
            raise TargetError(f"{self.node} makes {answers} recommendations in {SECONDS} s before it was slowed down")
        self.recall([str(answers)])
        return [str(answers)]

    def recall(self, noted: Sequence[str]) -> None:
        """How many recommendations it made before."""
        object.__setattr__(self, "_before", int(noted[0]) if noted else None)

    def inject(self, target: Slowable) -> None:
        target.slow_node(self.node, self.share)

    def took_effect(self, target: Target) -> Evidence:
        before: int | None = getattr(self, "_before", None)
        if before is None:
            return Evidence(False, "nobody looked before the fault, so nobody can tell whether it is slower now")
        answers = max(pace(target, self.node) for _ in range(LOOKS))  # the machine may have been busy during one
        text = f"{_made(self.node, answers)}, {before} before the fault"
        return Evidence(answers * SLOWER <= before, text, {"answers": answers, "before": before})

    def heal(self, target: Slowable) -> None:
        target.unslow_node(self.node)

    def healed(self, target: Target) -> Evidence:
        before: int | None = getattr(self, "_before", None)
        answers, enough = pace(target, self.node), FEWEST if before is None else before / SLOWER
        wanted = "nobody knows how many before" if before is None else f"{before} before the fault"
        return Evidence(answers > enough, f"{_made(self.node, answers)}, {wanted}")


def _made(node: str, answers: int) -> str:
    return f"{node} makes {answers} recommendations in {SECONDS} s, asked for {AT_ONCE} at a time from the edge"


inject, heal = activities(NodeSlow)
