"""One measure held against its objective: within its bounds, outside, or not known well enough to say."""

from __future__ import annotations

import math

from drills.measures import Measure, definition
from drills.outcome import Judged, Outcome, worst_of
from drills.spec import Objective

_BOUNDS = ("min", "max", "min_ratio", "max_ratio")


def judge_measure(measure: Measure, objective: Objective | None, *, cut_short: bool = False) -> Judged:
    """Hold a measure against its objective.

    ``cut_short``: the trial ended before its time, so only what cannot get better counts as violated.
    """
    if objective is None:
        return Judged(measure)
    met = [_meets(bound, limit, measure, cut_short=cut_short) for bound, limit in _bounds(objective)]
    outcome = worst_of(met)
    known = definition(objective.measure)
    if outcome is Outcome.FAIL and cut_short and not (known and known.only_grows):
        outcome = Outcome.UNKNOWN
    reason = None if outcome is Outcome.PASS else _sentence(measure, objective, outcome, cut_short=cut_short)
    return Judged(measure, objective, outcome, reason)


def _meets(bound: str, limit: float, measure: Measure, *, cut_short: bool) -> Outcome:
    ends = _ends(measure)
    if measure.censored and not cut_short and bound in ("max", "max_ratio"):
        return Outcome.FAIL
    if ends is None:
        return Outcome.UNKNOWN
    if bound.endswith("_ratio"):
        if not measure.baseline:
            return Outcome.UNKNOWN
        ends = (ends[0] / measure.baseline, ends[1] / measure.baseline)
    met = [end >= limit if bound.startswith("min") else end <= limit for end in ends]
    if all(met):
        return Outcome.PASS
    return Outcome.UNKNOWN if any(met) else Outcome.FAIL


def _ends(measure: Measure) -> tuple[float, float] | None:
    """The least and the greatest value that fit what was observed; None where nothing was."""
    if measure.possible is not None:
        return measure.possible
    if measure.value is None:
        return None
    return measure.value, math.inf if measure.censored else measure.value


def _bounds(objective: Objective) -> list[tuple[str, float]]:
    return [(b, limit) for b in _BOUNDS if (limit := getattr(objective, b)) is not None]


def _sentence(measure: Measure, objective: Objective, outcome: Outcome, *, cut_short: bool) -> str:
    known = definition(objective.measure)
    what = f"The {known.meaning} ({measure.name})" if known else measure.name
    allowed = " and ".join(_allowance(b, limit, measure.unit) for b, limit in _bounds(objective))
    if outcome is Outcome.FAIL:
        detail = f" {measure.reason}" if measure.reason else ""
        return f"{what} was {_shown(measure, objective)}, but the objective is {allowed}.{detail}"
    if measure.value is not None and measure.possible is None:
        if any(b.endswith("_ratio") for b, _ in _bounds(objective)) and not measure.baseline:
            return f"{what} is unknown against the baseline: there is no baseline for it."
        if cut_short:
            shown = _shown(measure, objective)
            return f"{what} was {shown} when the trial was cut short, too early to hold it against {allowed}."
    return f"{what} is unknown: {measure.reason or 'it was not observed.'}"


def _allowance(bound: str, limit: float, unit: str) -> str:
    side = "at least" if bound.startswith("min") else "at most"
    return f"{side} {limit:g} {'times the baseline' if bound.endswith('_ratio') else _unit(unit)}".rstrip()


def _shown(measure: Measure, objective: Objective) -> str:
    if measure.value is None:
        least = _ends(measure)
        return f"at least {_number(least[0] if least else None)} {_unit(measure.unit)}".rstrip()
    least_sign = "at least " if measure.censored else ""
    text = f"{least_sign}{_number(measure.value)} {_unit(measure.unit)}".rstrip()
    if measure.baseline and any(b.endswith("_ratio") for b, _ in _bounds(objective)):
        text += f" ({_number(measure.value / measure.baseline)} times the baseline's {_number(measure.baseline)})"
    return text


def _unit(unit: str) -> str:
    return "" if unit == "ratio" else unit


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
