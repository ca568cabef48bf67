"""The measures as the verdict document has them."""

from __future__ import annotations

import math
from typing import Any

from reports import cleaning
from reports.facts import Measured, OverTrials


def measures(raw: object) -> list[Measured]:
    return [_measure(name, cleaning.mapping(m)) for name, m in cleaning.mapping(raw).items()]


def _measure(name: str, raw: dict[str, Any]) -> Measured:
    over = cleaning.mapping(raw.get("over_trials"))
    return Measured(
        name=name,
        value=cleaning.number(raw.get("value")),
        unit=cleaning.text(raw.get("unit")),
        resolution=cleaning.number(raw.get("resolution")),
        interval=_range(raw.get("interval")),
        possible=_possible(raw.get("possible")),
        censored=raw.get("censored") is True,
        objective=cleaning.mapping(raw.get("objective")),
        baseline=cleaning.number(raw.get("baseline")),
        outcome=cleaning.outcome(raw.get("outcome")) if raw.get("objective") or raw.get("outcome") else "",
        reason=cleaning.text(raw.get("reason")),
        evidence=cleaning.mapping(raw.get("evidence")),
        over_trials=_over_trials(over) if over else None,
    )


def _range(raw: object) -> tuple[float, float] | None:
    ends = [end for end in map(cleaning.number, cleaning.sequence(raw)) if end is not None]
    return (ends[0], ends[1]) if len(ends) == 2 else None


def _possible(raw: object) -> tuple[float, float] | None:
    """The least and the greatest value that fit; the greatest is infinite where nothing bounds it."""
    ends = _open_range(raw)
    if ends is None or ends[0] is None:
        return None
    return ends[0], math.inf if ends[1] is None else ends[1]


def _over_trials(raw: dict[str, Any]) -> OverTrials:
    values = [cleaning.number(value) for value in cleaning.sequence(raw.get("values"))]
    censored = [value is True for value in cleaning.sequence(raw.get("censored"))]
    return OverTrials(
        values=tuple(values),
        censored=tuple((censored + [False] * len(values))[: len(values)]),
        median=cleaning.number(raw.get("median")),
        median_censored=raw.get("median_censored") is True,
        worst=cleaning.number(raw.get("worst")),
        range=_range(raw.get("range")),
        interval=_open_range(raw.get("interval")),
        confidence=cleaning.number(raw.get("confidence")),
        note=cleaning.text(raw.get("note")),
    )


def _open_range(raw: object) -> tuple[float | None, float | None] | None:
    """Two ends, of which one that is no figure is open; None where there are no two, or both are open."""
    ends = [cleaning.number(end) for end in cleaning.sequence(raw)]
    return (ends[0], ends[1]) if len(ends) == 2 and any(end is not None for end in ends) else None
