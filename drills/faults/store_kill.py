"""The process of a region's store dies at once, as after a crash; the machine, its nodes and its Sentinel live on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.stores import in_step
from drills.targets.base import StoreKillable


@dataclass(frozen=True)
class StoreKill:
    """A region's store dies at once, as after a crash.

    Kills the store of ``region`` (SIGKILL); healing starts it as a replica of whoever is the master by then.
    """

    region: str
    name: ClassVar[str] = "store_kill"
    needs: ClassVar[tuple[type, ...]] = (StoreKillable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that the Sentinels replace a store whose process died, and that nothing it had acknowledged is gone",
            "loss of the machine or its disk: what the store had handed to the kernel is still there afterwards",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        text = f"the store of {self.region}; its {len(nodes[self.region])} nodes live on without histories and writes"
        return BlastRadius((f"{self.region}/store",), text)

    def inject(self, target: StoreKillable) -> None:
        target.kill_store(self.region)

    def took_effect(self, target: StoreKillable) -> Evidence:
        if target.see_store(self.region).connected:
            return Evidence(False, f"connections from the edge to the store of {self.region} still open")
        return Evidence(True, f"no connection from the edge to the store of {self.region} opens")

    def heal(self, target: StoreKillable) -> None:
        target.start_store(self.region)

    def healed(self, target: StoreKillable) -> Evidence:
        return in_step(target)


inject, heal = activities(StoreKill)
