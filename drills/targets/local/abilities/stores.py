"""The stores: killed, stopped where they are, cut off from each other, out of disk, and how they look meanwhile."""

from __future__ import annotations

from drills.targets.base import StoreSeen
from drills.targets.local.abilities.asking import Asking


class Stores(Asking):
    """Makes the local target StoreKillable, StorePausable, ReplicationStoppable and DiskFillable."""

    def see_store(self, region: str) -> StoreSeen:
        return StoreSeen(**self._ask("see_store", region=region))

    def kill_store(self, region: str) -> None:
        self._ask("kill_store", region=region)

    def start_store(self, region: str) -> None:
        self._ask("start_store", region=region)

    def pause_store(self, region: str) -> None:
        self._ask("pause_store", region=region)

    def resume_store(self, region: str) -> None:
        self._ask("resume_store", region=region)

    def stop_replication(self) -> None:
        self._ask("stop_replication")

    def resume_replication(self) -> None:
        self._ask("resume_replication")

    def fill_disk(self, region: str) -> None:
        self._ask("fill_disk", region=region)

    def free_disk(self, region: str) -> None:
        self._ask("free_disk", region=region)
