"""The standby's store falls behind, and nobody tells: everybody still reaches both stores, but not they each other.

Who believes a second copy to be there while it is not loses data with the next fault.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.stores import in_step, role
from drills.targets.base import REGIONS, ReplicationStoppable, StoreSeeable

BETWEEN_LOOKS_S = 0.6


@dataclass(frozen=True)
class ReplicationStop:
    """The standby silently falls behind, as after a firewall rule that hits nothing but the replication.

    Every packet of the replication between the two stores vanishes, in both directions, and nothing else.
    """

    name: ClassVar[str] = "replication_stop"
    needs: ClassVar[tuple[type, ...]] = (ReplicationStoppable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "behaviour while the replica gets nothing, though nodes, Sentinels and clients reach all that they did",
            "a replica that gets everything late, or says that it has what it has not",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        stores = tuple(f"{region}/store" for region in REGIONS)
        return BlastRadius(stores, "what the stores send each other; the standby's copy is out of date from then on")

    def inject(self, target: ReplicationStoppable) -> None:
        target.stop_replication()

    def took_effect(self, target: StoreSeeable) -> Evidence:
        """Observed: after 0.6 s the replica does not even have what its master had before, and both answer."""
        before = _offsets(target)
        time.sleep(BETWEEN_LOOKS_S)
        after = _offsets(target)
        if before is None or after is None:
            return Evidence(False, "there is no master with a replica that both answer from the edge")
        lacking = before[0] - after[1]
        text = f"the replica lacks {lacking} bytes of what its master had {BETWEEN_LOOKS_S} s earlier, as both say"
        if lacking > 0:
            return Evidence(True, text, {"lacking_bytes": lacking})
        return Evidence(False, "the replica has all that its master had a moment ago")

    def heal(self, target: ReplicationStoppable) -> None:
        target.resume_replication()

    def healed(self, target: StoreSeeable) -> Evidence:
        """Observed: linked again, and what the master has now the replica has soon after."""
        if not (linked := in_step(target)).observed:
            return linked
        before = _offsets(target)
        deadline = time.monotonic() + BETWEEN_LOOKS_S
        while before is not None and time.monotonic() < deadline:
            now = _offsets(target)
            if now is not None and now[1] >= before[0]:
                return Evidence(True, f"{linked.text} and has all that the master had when it was asked")
        return Evidence(False, "the replica has not caught up with its master yet")


def _offsets(target: StoreSeeable) -> tuple[int, int] | None:
    """How many bytes of writes the master has, and how many of them its replica; None where that cannot be told."""
    stores = [target.see_store(region) for region in REGIONS]
    if sorted(role(store) for store in stores) != ["master", "slave"]:
        return None
    master, replica = sorted(stores, key=role)
    assert master.info is not None
    assert replica.info is not None
    return int(master.info["master_repl_offset"]), int(replica.info["slave_repl_offset"])


inject, heal = activities(ReplicationStop)
