"""When in a target's own rhythms the fault of each trial strikes: spread evenly, seeded."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

PERIOD_S = 1.0


def period_s(about: Mapping[str, Any]) -> float:
    """The longest period (s) of a target's checks and leases: its timer ``period_s``, else 1 s."""
    timers = about.get("timers")
    told = timers.get("period_s") if isinstance(timers, Mapping) else None
    return float(told) if isinstance(told, int | float) and told > 0 else PERIOD_S


def jitter_s(seed: int, number: int, trials: int, variants: int = 1, period: float = PERIOD_S) -> float:
    """How long (s) trial ``number`` of ``trials`` (from 1) waits longer than the others before its method begins.

    Stratified: of the trials of one variant (they take turns) each draws from a slice of its own of ``period``, all
    slices equal, in a seeded order. So every phase of health checks and leases is met, with few trials too, and the
    same seed gives the same moments.
    """
    kinds = max(1, variants)
    variant, position = (number - 1) % kinds, (number - 1) // kinds
    slices = len(range(variant, max(trials, number), kinds))
    draw = random.Random(f"{seed}/jitter/{variant}")  # noqa: S311 - no secret: it must be repeatable
    order = draw.sample(range(slices), slices)
    within = [draw.random() for _ in range(slices)]
    return (order[position] + within[position]) / slices * period
