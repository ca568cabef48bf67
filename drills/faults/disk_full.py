"""The disk that a region's store keeps its append-only file on is full: nothing more can be written to it.

What Valkey makes of it: a master refuses every write, PING included (MISCONF), so the Sentinels count it as down and
replace it. A replica cannot refuse what its master sends, and ends itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.errors import TargetError
from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.stores import in_step
from drills.targets.base import REGIONS, DiskFillable, StoreSeeable


@dataclass(frozen=True)
class DiskFull:
    """A store's disk is full, as after a log file that nobody rotated.

    The append-only file of the store of ``region`` cannot grow (ENOSPC); healing makes room.
    """

    region: str
    name: ClassVar[str] = "disk_full"
    needs: ClassVar[tuple[type, ...]] = (DiskFillable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "what the store, the Sentinels and the service do when the kernel refuses to store more (ENOSPC)",
            "a disk that fails or hangs: this one still reads, and is whole when there is room again",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        return BlastRadius((f"{self.region}/store",), f"the disk of the store of {self.region}, and nobody else's")

    def look_first(self, target: StoreSeeable) -> list[str]:
        """See that the store answers and can write; raises TargetError where it does not."""
        info = target.see_store(self.region).info or {}
        if info.get("aof_last_write_status") != "ok":
            raise TargetError(f"the store of {self.region} does not answer or cannot write before anything was broken")
        self.recall([info["role"]])
        return [info["role"]]

    def recall(self, noted: Sequence[str]) -> None:
        """What the store was before the fault: ``master`` or ``slave``."""
        object.__setattr__(self, "_role", noted[0] if noted else None)

    def inject(self, target: DiskFillable) -> None:
        target.fill_disk(self.region)

    def took_effect(self, target: StoreSeeable) -> Evidence:
        """Observed: the store says that it cannot write, or, if it was a replica, has ended itself over it."""
        seen = target.see_store(self.region)
        if not seen.connected and getattr(self, "_role", None) == "slave":
            return Evidence(True, f"the store of {self.region} was a replica that answered, and has ended itself")
        info = seen.info
        if info is None:
            return Evidence(False, f"the store of {self.region} does not answer from the edge")
        if info.get("aof_last_write_status") == "err":
            return Evidence(True, f"the store of {self.region} says that the last write to its file failed")
        return Evidence(False, f"the store of {self.region} says that the last write to its file went well")

    def heal(self, target: DiskFillable) -> None:
        target.free_disk(self.region)

    def healed(self, target: StoreSeeable) -> Evidence:
        for region in REGIONS:
            info = target.see_store(region).info
            if info is None or info.get("aof_last_write_status") != "ok":
                return Evidence(False, f"the store of {region} does not answer from the edge, or cannot write yet")
        return in_step(target)


inject, heal = activities(DiskFull)
