"""What the same model predicts with one timer changed: an upper bound, never a promise of a measured value.

The model of ``drills.measures.modelled`` is computed again from what the run deployed and injected. Unless it gives the
bounds that the verdict holds, something that it needs is not in the record, and nothing is predicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from drills.measures import modelled
from drills.recording.record import Event
from reports import cleaning
from reports.facts import Facts, Trial
from reports.findings import finding
from reports.phases import TIMERS, Phase

_LEAST_GAIN = 0.1
"""A change that takes less than this share off a bound is not worth a sentence."""
_LEAST_S = {"witness_down_after_s": "sentinel_ping_s"}
"""Below this other timer the model does not hold: a Sentinel pings no more often than it would call a store down."""
PRICE = {
    "witness_down_after_s": "a store that is only silent for as long as that would then be replaced too",
    "connect_timeout_s": "a node that takes as long as that to accept a connection would then be taken out too",
    "check_timeout_s": "a node that takes as long as that to answer a check would then be taken out too",
    "check_inter_s": "every node is then checked twice as often",
    "check_fastinter_s": "a node with a short stall would then be taken out sooner",
}
"""The timers that may be changed, with what that costs. Others are not settable, or keep the service safe."""


@dataclass(frozen=True)
class WhatIf:
    """``timer`` lowered from ``now_s`` to ``then_s`` takes the bound from ``bound_s`` down to ``predicted_s``."""

    timer: str
    now_s: float
    then_s: float
    bound_s: float
    predicted_s: float

    @property
    def said(self) -> str:
        """One sentence, with the price."""
        label = TIMERS[self.timer].partition(",")[0]
        return (
            f"With {label} at {self.then_s:.3g} s instead of {self.now_s:.3g} s the configuration predicts "
            f"at most {self.predicted_s:.2f} s instead of at most {self.bound_s:.2f} s; {PRICE[self.timer]}."
        )


def halved(facts: Facts, trial: Trial, phase: Phase) -> WhatIf | None:
    """What halving the largest timer that can be set predicts for ``phase``.

    None where the phase is not predicted, was slower than predicted (then timers do not explain it), where no timer
    that matters can be set, or where the record does not carry the model.
    """
    part = next((part for part in phase.parts if part.timer in PRICE), None)
    timers = cleaning.mapping(facts.deployed.get("timers"))
    now_s = cleaning.number(timers.get(part.timer)) if part else None
    if part is None or now_s is None or phase.bound_s is None or phase.slower or phase.measured_s is None:
        return None
    least_s = cleaning.number(timers.get(_LEAST_S.get(part.timer, ""))) or 0.0
    then_s = max(now_s / 2, least_s)
    unchanged, changed = (_bound(facts, trial, phase.name, {**timers, part.timer: x}) for x in (now_s, then_s))
    if unchanged is None or changed is None or not math.isclose(unchanged, phase.bound_s, rel_tol=1e-4):
        return None
    return WhatIf(part.timer, now_s, then_s, unchanged, changed) if changed <= (1 - _LEAST_GAIN) * unchanged else None


def _bound(facts: Facts, trial: Trial, name: str, timers: dict[str, Any]) -> float | None:
    """The bound of one phase in seconds, by the model, with these timers; None where it predicts nothing."""
    deployed = Event(t=0, kind="target.deployed", trial=None, data={**facts.deployed, "timers": timers})
    quiet = trial.measure("p99_ms@before")
    answer_s = 0.0 if quiet is None or quiet.value is None else quiet.value / 1_000
    milestones = {"first_error": finding.moment(trial, "first_error"), "healed": finding.moment(trial, "healed")}
    predicted = modelled.of_trial([deployed, *trial.events], milestones, answer_s).get(name)
    return None if predicted is None else cleaning.number(predicted["bound_s"])
