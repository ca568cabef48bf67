"""A region's power and network, gone and back."""

from __future__ import annotations

from drills.targets.local.abilities.asking import Asking


class Regions(Asking):
    """Makes the local target RegionLosable."""

    def lose_region(self, region: str) -> None:
        self._ask("lose", region=region)

    def restore_region(self, region: str) -> None:
        self._ask("restore", region=region)
