"""Moments of a run as wall time, from the one pair of wall time and monotonic time that its ``meta.json`` holds."""

from __future__ import annotations

from datetime import datetime

from reports import cleaning
from reports.columns import NS
from reports.facts import Facts, Trial


def anchor_ns(facts: Facts) -> int | None:
    """What to add to a monotonic moment to get nanoseconds since 1970; None where the run does not say."""
    started, anchor = facts.meta.get("started_at"), facts.meta.get("t_anchor_ns")
    if not isinstance(started, str) or not isinstance(anchor, int) or isinstance(anchor, bool):
        return None
    try:
        at = datetime.fromisoformat(started)
    except ValueError:
        return None
    if at.tzinfo is None or abs(anchor) > 2**62:
        return None
    return round(at.timestamp() * 1000) * (NS // 1000) - anchor


def start_ns(facts: Facts) -> int | None:
    """When the run began, in nanoseconds since 1970; None where the run does not say."""
    at, anchor = anchor_ns(facts), cleaning.number(facts.meta.get("t_anchor_ns"))
    return None if at is None or anchor is None else at + int(facts.meta["t_anchor_ns"])


def end_ns(facts: Facts) -> int | None:
    """When the last that is recorded of the run happened, in nanoseconds since 1970; its start where nothing is."""
    start, at = start_ns(facts), anchor_ns(facts)
    if start is None or at is None:
        return None
    return max([start, *(at + span(trial)[1] for trial in facts.trials)])


def span(trial: Trial) -> tuple[int, int]:
    """A trial's first and last recorded moment, in monotonic nanoseconds."""
    told = [event.t for event in trial.events]
    return min([trial.clock.start, *told]), max([trial.clock.end, *told])
