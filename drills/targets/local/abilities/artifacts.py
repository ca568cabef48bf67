"""Models that are rolled out: an older one, a damaged one, the good one again."""

from __future__ import annotations

from drills.errors import TargetError
from drills.targets.local.abilities.asking import Asking
from recsvc.bundle import Bundle, BundleError


class Artifacts(Asking):
    """Makes the local target ModelsRollable."""

    def model_version(self, release: str) -> str:
        """The version of the ``current`` or the ``previous`` release; raises TargetError where there is none."""
        assert self.deployment.bundle is not None
        try:
            bundle = Bundle.load(self.deployment.bundle)
            return (bundle if release == "current" else bundle.previous()).version
        except BundleError as error:
            raise TargetError(str(error)) from error

    def roll_out_previous(self, node: str) -> None:
        self._ask("roll_out_previous", node=node)

    def roll_out_corrupt(self, node: str, file: str, flips: int, by: str) -> None:
        self._ask("roll_out_corrupt", node=node, file=file, flips=flips, restart=by == "restart")

    def roll_back(self, node: str) -> None:
        self._ask("roll_back", node=node)
