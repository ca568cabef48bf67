"""A region that the traffic director sends no reads to."""

from __future__ import annotations

from drills.targets.local.abilities.asking import Asking


class Directing(Asking):
    """Makes the local target Drainable."""

    def drain(self, region: str) -> None:
        self._ask("drain", region=region)

    def undrain(self, region: str) -> None:
        self._ask("undrain", region=region)

    def drained(self) -> tuple[str, ...]:
        return tuple(self._ask("drained"))
