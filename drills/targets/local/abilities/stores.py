"""The stores: killed, stopped where they are, cut off from each other, out of disk, and how they look meanwhile."""

from __future__ import annotations

import time

from drills.targets.base import StoreSeen
from drills.targets.local.abilities.asking import Asking

UNTORN_S = 10.0


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
        self._wait_untorn()

    def _wait_untorn(self) -> list[str]:
        """Wait until no store has a file to write anew, at most 10 s; returns the regions whose store still has."""
        deadline = time.monotonic() + UNTORN_S
        while (torn := self._ask("status")["torn"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return list(torn)
