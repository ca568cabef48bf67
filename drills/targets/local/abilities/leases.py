"""The lab's dead-man's switch, as the process that holds it sees it."""

from __future__ import annotations

import os

from drills import processes
from drills.errors import TargetError
from drills.targets.base import LeaseLost
from drills.targets.local.abilities.asking import Asking

RENEW_TIMEOUT_S = 2.0


class Leases(Asking):
    """Makes the local target Leased."""

    def renew(self, seconds: float) -> None:
        answer = self._ask("lease", RENEW_TIMEOUT_S, holder=_holder(), seconds=seconds)
        if answer["state"] == "taken" and not processes.is_there(answer["holder"]):  # it need not be waited for
            self._ask("release", RENEW_TIMEOUT_S, holder=answer["holder"])
            answer = self._ask("lease", RENEW_TIMEOUT_S, holder=_holder(), seconds=seconds)
        state = answer["state"]
        if state == "expired":
            raise LeaseLost("the lab was not heard from in time and has healed itself")
        if state == "taken":
            raise TargetError(f"{answer['holder']} is breaking this lab: wait until it has ended")

    def held_by(self) -> str | None:
        """Which other process, still there, has said that it breaks things here; None for nobody."""
        who: str | None = self._ask("status", RENEW_TIMEOUT_S)["held_by"]
        return who if who and who != _holder() and processes.is_there(who) else None

    def release(self) -> None:
        self._ask("release", RENEW_TIMEOUT_S, holder=_holder())


def _holder() -> str:
    return processes.identity(os.getpid())
