"""The clients lose one region while the regions still see each other: a broken uplink, a wrong route at the edge.

Nothing is wrong inside, so nobody may take the mastership away: the witness, which stands at the edge too, still sees
every store. What is cut is the port of the nodes, between the traffic director and one region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import node_silent, nodes_ready
from drills.targets.base import EDGE, REGIONS, EdgeCuttable, Partitionable, Target


class _Target(Target, Partitionable, EdgeCuttable, Protocol):
    """What the fault is given."""


@dataclass(frozen=True)
class EdgeCut:
    """Drop every packet between the clients' traffic director and the nodes of ``region``, as a broken uplink does."""

    region: str
    name: ClassVar[str] = "edge_cut"
    needs: ClassVar[tuple[type, ...]] = (EdgeCuttable, Partitionable)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "how clients, traffic director and nodes react when a region is sound and its clients cannot reach it",
            "a region that loses its other ways too: its store, the other region and the witness still reach it",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        lost = tuple(f"{EDGE} and {node}" for node in nodes[self.region])
        text = f"no client reaches the {len(lost)} nodes of {self.region}; regions and witness still see each other"
        return BlastRadius(lost, text)

    def inject(self, target: EdgeCuttable) -> None:
        target.cut_clients(self.region)

    def took_effect(self, target: _Target) -> Evidence:
        seen = [node_silent(target, node) for node in target.nodes_of(self.region)]
        if heard := [evidence for evidence in seen if not evidence.observed]:
            return heard[0]
        other = next(region for region in REGIONS if region != self.region)
        ways = ((self.region, other), (other, self.region), (EDGE, self.region))
        if cut := [f"{a} to {b}" for a, b in ways if not target.reachable(a, b)]:
            return Evidence(False, f"more is cut than the clients' way: no connection from {', '.join(cut)}")
        text = f"no node of {self.region} answers a request sent from the edge; {other} and the witness still reach it"
        return Evidence(True, text)

    def heal(self, target: EdgeCuttable) -> None:
        target.mend_clients(self.region)

    def healed(self, target: Target) -> Evidence:
        return nodes_ready(target, target.nodes_of(self.region))


inject, heal = activities(EdgeCut)
