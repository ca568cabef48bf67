"""When a trial is stopped early: it lasts too long, or it hurts its users more than it may.

The guard fails closed: where it cannot tell whether users are hurt, it stops the trial.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from drills import spec
from drills.watch import Glance

BLIND_S = 10.0


@dataclass
class Guard:
    """Judges one glance after another; ``rules`` come from the drill file."""

    rules: spec.Guard
    clock_s: float = field(default_factory=time.monotonic)
    _begin: float = field(init=False)
    _hurt_since: float | None = field(default=None, init=False)
    _blind_since: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._begin = self.clock_s

    def judge(self, glance: Glance) -> str | None:
        """``reason_to_stop``, and a guard that cannot tell is a reason, too."""
        try:
            return self.reason_to_stop(glance)
        except Exception as error:
            return f"the guard could not be evaluated ({type(error).__name__}: {error})"

    def reason_to_stop(self, glance: Glance, now_s: float | None = None) -> str | None:
        """One sentence why the trial must stop now, or None."""
        now = time.monotonic() if now_s is None else now_s
        if now - self._begin > self.rules.max_duration_s:
            return f"the trial took longer than guard.max_duration_s ({self.rules.max_duration_s:g} s)"
        if self.rules.abort_if is None:
            return None
        return self._blind(glance, now) or self._hurt(glance, now)

    def _blind(self, glance: Glance, now: float) -> str | None:
        if glance.availability is not None:
            self._blind_since = None
            return None
        self._blind_since = self._blind_since or now
        if now - self._blind_since > BLIND_S:
            return f"for {BLIND_S:.0f} s no request ended, so the guard cannot tell how much users are hurt"
        return None

    def _hurt(self, glance: Glance, now: float) -> str | None:
        limit = self.rules.abort_if
        assert limit is not None
        if glance.availability is None or glance.availability >= limit.availability_below:
            self._hurt_since = None
            return None
        self._hurt_since = self._hurt_since or now
        if now - self._hurt_since < limit.for_s:
            return None
        return (
            f"availability was below guard.abort_if.availability_below ({limit.availability_below:g}) "
            f"for {limit.for_s:g} s (last: {glance.availability:.2f})"
        )
