"""The dead-man's switch of a lab: who may break it must keep saying so, else everything is healed.

It lives in PID 1, so it needs nothing of the processes that it guards against: not that they run, nor that they are
reachable, nor that their disk can be written.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

FAR_TOO_LONG = 20
"""After so many leases without a word nobody will come back for a lab that belongs to one run."""


@dataclass
class Lease:
    """Who holds the lab, until when (monotonic seconds), and whose lease ran out last."""

    holder: str | None = None
    seconds: float = 0.0
    until: float = 0.0
    expired: str | None = None
    """Whose lease ran out: they may break nothing any more until somebody else has the lab or they let go of it."""

    def renew(self, holder: str, seconds: float, now: float | None = None) -> dict[str, Any]:
        """``state`` is ``held`` or why not: ``expired`` (not renewed in time) or ``taken``, by ``holder``."""
        now = time.monotonic() if now is None else now
        if holder == self.expired or (holder == self.holder and now >= self.until):
            return {"state": "expired", "holder": holder}
        if self.holder not in (None, holder) and now < self.until:
            return {"state": "taken", "holder": self.holder}
        self.holder, self.seconds, self.until, self.expired = holder, seconds, now + seconds, None
        return {"state": "held", "holder": holder}

    def release(self, holder: str | None) -> None:
        """Let go of it; None for whoever has it. Nothing where somebody else has it."""
        if holder in (None, self.holder):
            self.holder = None
        if holder in (None, self.expired):
            self.expired = None

    def lengthen(self, seconds: float) -> None:
        """Allow the holder more time: so long nobody listened to it."""
        self.until += seconds

    def held_by(self, now: float | None = None) -> str | None:
        """Who may break things here now; None where nobody has said so."""
        now = time.monotonic() if now is None else now
        return self.holder if now < self.until else None

    def runs_out(self, now: float | None = None) -> dict[str, Any] | None:
        """Once, as soon as the lease has run out: whose it was and for how long it was; None otherwise."""
        now = time.monotonic() if now is None else now
        if self.holder is None or now < self.until:
            return None
        self.expired, self.holder = self.holder, None
        return {"holder": self.expired, "seconds": self.seconds}

    def forgotten(self, now: float | None = None) -> bool:
        """Whether the holder whose lease ran out has been away for 20 leases: it will not come back."""
        now = time.monotonic() if now is None else now
        return self.expired is not None and now > self.until + (FAR_TOO_LONG - 1) * self.seconds

    def must_not_be_expired(self) -> None:
        """Raise PermissionError while the lease of whoever breaks things here has run out."""
        if self.expired is not None:
            raise PermissionError(
                f"the lease of {self.expired} ran out and everything was healed: nothing may be broken any more"
            )
