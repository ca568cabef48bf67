"""Silence between two places of the lab, in one direction or both, or for the clients of a region alone."""

from __future__ import annotations

from drills.targets.base import BOTH
from drills.targets.local.abilities.links import Links


class Partitions(Links):
    """Makes the local target Partitionable and EdgeCuttable."""

    def cut(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        self._ask("cut", a=a, b=b, direction=direction, why=why)

    def mend(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        self._ask("mend", a=a, b=b, direction=direction, why=why)

    def cut_clients(self, region: str) -> None:
        self._ask("cut_clients", region=region)

    def mend_clients(self, region: str) -> None:
        self._ask("mend_clients", region=region)

    def reachable(self, source: str, destination: str) -> bool:
        return bool(self._ask("reachable", source=source, destination=destination))

    def delivered(self, source: str, destination: str) -> bool:
        return bool(self.send_datagrams(source, destination, count=3, size=64, wait_s=0.3).delays_ms)
