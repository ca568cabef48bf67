"""Each figure beside its truth, and what all figures of one kind say together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from drills.calibration.session import RATES
from drills.calibration.shapes import Expected
from drills.calibration.trials import Trial, wrong_records
from drills.measures import Measure, Settings, measure_trial
from drills.measures.latency import order_statistic_interval

RECORD = "record"
"""The figure that counts contradictions between the record and the server's books."""


@dataclass(frozen=True)
class Figure:
    """One measure of one repetition. ``measured`` None: it was not observed, ``reason`` says why.

    ``held``: whether the measure's own interval holds the truth; None where it gave none. ``disturbance_s``: how long
    the prober or the server were held up at most meanwhile; an error by no more than that is the host's.
    """

    shape: str
    trial: int
    measure: str
    unit: str
    truth: float
    measured: float | None
    bound: float
    held: bool | None
    disturbance_s: float
    reason: str | None = None

    @property
    def error(self) -> float | None:
        return None if self.measured is None else round(self.measured - self.truth, 9)

    @property
    def within(self) -> bool:
        return self.error is not None and abs(self.error) <= self.bound

    @property
    def excused(self) -> bool:
        """Whether what held the host up can explain why this figure is not within its bound."""
        if self.within:
            return False
        if self.error is None:
            return self.disturbance_s > Settings().lateness_bound_s
        return abs(self.error) <= self.bound + _PER_S[self.unit] * self.disturbance_s


_ALL_PROBES = sum(RATES.values())
_LEAST_S = 2.0
_PER_S = {"s": 1, "ms": 1000, "ratio": 1 / _LEAST_S, "requests/s": _ALL_PROBES / _LEAST_S} | dict.fromkeys(
    ("events", "requests", "probes"), _ALL_PROBES
)
"""By how much a figure can change at most for each second that the host was held up in a trial of 2 s or more."""


def of_trial(trial: Trial) -> list[Figure]:
    """What every measure that the shape speaks of read, beside what it must read."""
    found = measure_trial(trial.timeline)
    wrong, example = wrong_records(trial)
    disturbance_s = max(trial.lateness_ns, trial.books.stalled_ns) / 1e9
    shape, number = trial.performed.shape.name, trial.performed.trial
    kept = Figure(shape, number, RECORD, "probes", 0.0, wrong, 0.0, None, disturbance_s, example)
    return [kept, *(_figure(trial, e, found[e.measure], disturbance_s) for e in trial.performed.shape.expected)]


def _figure(trial: Trial, expected: Expected, measure: Measure, disturbance_s: float) -> Figure:
    truth, value, interval = expected.truth(trial.books), measure.value, measure.interval
    if expected.evidence:
        count = measure.evidence.get(expected.evidence)
        value, interval = float(count) if isinstance(count, int) else None, None
    held = None if interval is None else interval[0] - 1e-9 <= truth <= interval[1] + 1e-9
    # What is given as a range, or as a lower bound, was not measured.
    if measure.possible is not None or measure.censored:
        value = None
    return Figure(
        shape=trial.performed.shape.name,
        trial=trial.performed.trial,
        measure=expected.name,
        unit=measure.unit,
        truth=truth,
        measured=value,
        bound=expected.bound,
        held=held,
        disturbance_s=disturbance_s,
        reason=None if value is not None else measure.reason,
    )


def summary(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """One row a shape and measure, in order of appearance."""
    groups: dict[tuple[str, str], list[Figure]] = defaultdict(list)
    for figure in figures:
        groups[figure.shape, figure.measure].append(figure)
    return [{"shape": shape, **_row(group)} for (shape, _), group in groups.items()]


def over_shapes(figures: Iterable[Figure]) -> dict[str, dict[str, Any]]:
    """Measure -> the same row over all shapes together, each error within the bound of its own shape.

    A duration that must read 0 and does is left out: it would make the mean error look smaller than it is.
    """
    groups: dict[str, list[Figure]] = defaultdict(list)
    for figure in figures:
        if figure.truth or figure.unit != "s" or not figure.within:
            groups[figure.measure].append(figure)
    return {measure: _row(group) for measure, group in groups.items()}


def _row(group: list[Figure]) -> dict[str, Any]:
    """``interval`` encloses the median error with 95 % whatever its distribution; null with fewer than 6 of them."""
    errors = sorted(f.error for f in group if f.error is not None)
    low, high = order_statistic_interval(len(errors), 0.5) if errors else (0, 0)
    held = [f.held for f in group if f.held is not None]
    return {
        "measure": group[0].measure,
        "unit": group[0].unit,
        "n": len(group),
        "observed": len(errors),
        "truth": [min(f.truth for f in group), max(f.truth for f in group)],
        "mean_error": fmean(errors) if errors else None,
        "worst_error": max(errors, key=abs) if errors else None,
        "interval": [errors[low - 1], errors[high - 1]] if low and high else None,
        "bound": max(f.bound for f in group),
        "interval_held": sum(held) if held else None,
        "intervals": len(held),
        "outside": sum(not f.within for f in group),
        "excused": sum(f.excused for f in group),
        "outcome": outcome(group),
    }


def outcome(group: Iterable[Figure]) -> str:
    """PASS: all within their bounds; UNKNOWN: those that are not can all be the host's doing; else FAIL."""
    outside = [f for f in group if not f.within]
    if not outside:
        return "PASS"
    return "UNKNOWN" if all(f.excused for f in outside) else "FAIL"


def percentile_ms(spans_ns: list[int], share: float) -> float | None:
    """Order statistic of rank ceil(share x n), in ms; None of nothing."""
    ordered = sorted(spans_ns)
    return ordered[math.ceil(share * len(ordered)) - 1] / 1e6 if ordered else None
