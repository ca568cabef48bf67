"""A region's store hangs, and wakes up again later believing that nothing has happened.

That is the dangerous half: a master that slept through its own replacement must not acknowledge anything when it wakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.stores import in_step
from drills.targets.base import StorePausable


@dataclass(frozen=True)
class StorePause:
    """A region's store hangs and later wakes up, as after a stalled disk or a frozen virtual machine.

    Stops the store of ``region`` where it is (SIGSTOP): it accepts and is mute; healing lets it go on (SIGCONT).
    """

    region: str
    name: ClassVar[str] = "store_pause"
    needs: ClassVar[tuple[type, ...]] = (StorePausable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that a store that hangs is replaced, and that it does no harm when it wakes up as the master it was",
            "a store that is slow rather than silent, or a disk that hangs under it",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        text = f"the store of {self.region}; its {len(nodes[self.region])} nodes live on without histories and writes"
        return BlastRadius((f"{self.region}/store",), text)

    def inject(self, target: StorePausable) -> None:
        target.pause_store(self.region)

    def took_effect(self, target: StorePausable) -> Evidence:
        seen = target.see_store(self.region)
        if seen.info is not None:
            return Evidence(False, f"the store of {self.region} still answers from the edge")
        if not seen.connected:
            return Evidence(False, f"the store of {self.region} is mute, but does not accept connections either")
        return Evidence(
            True, f"a connection from the edge to the store of {self.region} opens, and INFO is not answered"
        )

    def heal(self, target: StorePausable) -> None:
        target.resume_store(self.region)

    def healed(self, target: StorePausable) -> Evidence:
        return in_step(target)


inject, heal = activities(StorePause)
