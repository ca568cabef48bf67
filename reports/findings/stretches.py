"""When users were disturbed: the stretches of time in which requests failed or were slow, as all clients saw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.columns import NS
from reports.facts import Measured, Trial

_APART_S = 1.0
"""Without a disturbed request for so long, two stretches are two."""
_BEFORE_S = 0.25
"""A fault may strike while it is still being injected: its first victims were due before it was acknowledged."""
_SLOW_SHARE = 0.05
"""As in the definition of a recovery, so many of the requests may be slow at any time."""


@dataclass(frozen=True)
class Stretch:
    """From the first to the last disturbed request, by when they were due, in seconds after the fault."""

    start_s: float
    end_s: float
    failed: int
    slow: int

    @property
    def verb(self) -> str:
        """What requests did in it, in the past."""
        return verb(self.failed, self.slow)

    @property
    def said(self) -> str:
        start, end = f"{max(self.start_s, 0):.1f}", f"{max(self.end_s, 0):.1f}"
        return f"at {start} s" if start == end else f"from {start} to {end} s"


def verb(failed: int, slow: int) -> str:
    """``failed`` where most of the disturbed did; a few slow answers do not make all of them slow."""
    if not failed:
        return "were partly slow"
    return "failed" if failed >= slow else "were slow or failed"


def verb_of(m: Measured, trial: Trial | None) -> str:
    """What the probes behind a recovery did, by the measure's own count of them."""
    own = (trial.measure(m.name) if trial else None) or m
    failed, slow = own.evidence.get("failed"), own.evidence.get("slow")
    return verb(failed, slow) if isinstance(failed, int) and isinstance(slow, int) else "were disturbed"


def disturbed(trial: Trial, *, write: bool, prompt_s: float) -> list[Stretch]:
    """The stretches from the fault on, in time order; single failures, and a few slow answers, make none."""
    asked = trial.requests
    mine = np.flatnonzero((asked.write == write) & asked.sent)
    due = (asked.due[mine] - trial.clock.zero) / NS
    failed = ~asked.ok[mine]
    slow = ~failed & (asked.done[mine] - asked.due[mine] > prompt_s * NS)
    chosen = np.flatnonzero((failed | slow) & (due >= -_BEFORE_S))
    chosen = chosen[np.argsort(due[chosen], kind="stable")]
    if not len(chosen):
        return []
    parts = np.split(chosen, np.flatnonzero(np.diff(due[chosen]) > _APART_S) + 1)
    found = [Stretch(float(due[p[0]]), float(due[p[-1]]), int(failed[p].sum()), int(slow[p].sum())) for p in parts]
    return [s for s in found if s.failed >= 2 or s.slow >= max(3.0, _SLOW_SHARE * _asked(due, s))]


def _asked(due: np.ndarray[tuple[int], np.dtype[np.float64]], stretch: Stretch) -> int:
    return int(((due >= stretch.start_s) & (due <= stretch.end_s)).sum())
