"""A whole region is lost: its network goes silent and every process in it is gone, as after a power cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import node_silent, nodes_ready
from drills.faults.stores import in_step
from drills.targets.base import RegionLosable, StoreSeeable, Target


@dataclass(frozen=True)
class RegionLoss:
    """Lose ``region``: nothing in it runs, no packet enters or leaves; healing starts it again."""

    region: str
    name: ClassVar[str] = "region_loss"
    needs: ClassVar[tuple[type, ...]] = (RegionLosable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "how clients, traffic director and store react when a region falls silent with everything in it",
            "the time a real data centre needs to come back, and loss of data that was only in a disk's cache",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        lost = tuple(nodes[self.region])
        text = f"all {len(lost)} nodes of {self.region}, its store and its Sentinel: the other region must carry all"
        return BlastRadius((self.region, *lost, f"{self.region}/store"), text)

    def inject(self, target: RegionLosable) -> None:
        target.lose_region(self.region)

    def took_effect(self, target: Target) -> Evidence:
        seen = [node_silent(target, node) for node in target.nodes_of(self.region)]
        if all(evidence.observed for evidence in seen):
            return Evidence(True, f"no node of {self.region} answers a request sent to it from the edge")
        return next(evidence for evidence in seen if not evidence.observed)

    def heal(self, target: RegionLosable) -> None:
        target.restore_region(self.region)

    def healed(self, target: Target) -> Evidence:
        nodes = nodes_ready(target, target.nodes_of(self.region))
        if not nodes.observed or not isinstance(target, StoreSeeable):
            return nodes
        stores = in_step(target)
        return Evidence(stores.observed, f"{nodes.text}; {stores.text}")


inject, heal = activities(RegionLoss)
