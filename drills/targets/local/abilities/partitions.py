"""Silence between two places of the lab."""

from __future__ import annotations

from drills.targets.local.abilities.asking import Asking


class Partitions(Asking):
    """Makes the local target Partitionable."""

    def cut(self, a: str, b: str) -> None:
        self._ask("cut", a=a, b=b)

    def mend(self, a: str, b: str) -> None:
        self._ask("mend", a=a, b=b)

    def reachable(self, source: str, destination: str) -> bool:
        return bool(self._ask("reachable", source=source, destination=destination))
