"""Each trial as one small picture on the same axes, so that many can be compared at a glance.

Plain SVG: twenty of these weigh less than one of the large charts, need no script, and print as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports import series, wording
from reports.columns import NS, Floats
from reports.facts import Trial

WIDTH, ANSWERS, GAP, FAILED = 240, 64, 6, 26
"""Units of the picture: its width, and the heights of its two bands with what lies between."""
_POINTS = 120


@dataclass(frozen=True)
class Small:
    """A trial's picture: SVG paths of answers by region (in the order of ``Multiples.regions``) and of failures.

    ``fault``: left edge and width of the time it was in force; None where none was injected. ``heal``: where it was
    healed, or None.
    """

    trial: Trial
    answers: tuple[str, ...]
    failed: str
    fault: tuple[float, float] | None
    heal: float | None
    described: str


@dataclass(frozen=True)
class Multiples:
    """The pictures with what their axes span: seconds since the fault, answers/s, failures in ``step_s`` seconds."""

    trials: tuple[Small, ...]
    regions: tuple[str, ...]
    begin_s: float
    end_s: float
    most_answers: float
    most_failed: float
    step_s: float

    def x(self, t_s: float) -> float:
        return round(WIDTH * (t_s - self.begin_s) / (self.end_s - self.begin_s), 1)


@dataclass(frozen=True)
class _Columns:
    trial: Trial
    left_s: Floats
    step_s: float
    fine_s: float
    answered: dict[str, Floats]
    failed: Floats

    @property
    def all_answered(self) -> Floats:
        return np.asarray(np.sum([np.zeros(len(self.left_s)), *self.answered.values()], axis=0))


def multiples(trials: Sequence[Trial]) -> Multiples | None:
    """The pictures of all trials; None for fewer than two, or where no request was recorded."""
    shown = [trial for trial in trials if len(trial.requests)]
    if len(trials) < 2 or not shown:
        return None
    longest_s = max((trial.clock.end - trial.clock.start) / NS for trial in shown)
    columns = [_columns(trial, longest_s) for trial in shown]
    regions = tuple(dict.fromkeys(name for trial in shown for name in trial.requests.regions))
    frame = Multiples(
        trials=(),
        regions=regions,
        begin_s=min(c.trial.clock.s(c.trial.clock.start) for c in columns),
        end_s=max(c.trial.clock.s(c.trial.clock.end) for c in columns),
        most_answers=max([1.0, *(float(c.all_answered.max(initial=0)) for c in columns)]),
        most_failed=max([1.0, *(float(c.failed.max(initial=0)) for c in columns)]),
        step_s=max(c.fine_s for c in columns),
    )
    return Multiples(**{**vars(frame), "trials": tuple(_small(c, frame) for c in columns)})


def _columns(trial: Trial, longest_s: float) -> _Columns:
    at = trial.clock
    fine = series.bins(at.start, at.end, at.zero)
    grid = fine.at_least(longest_s / _POINTS) if longest_s / _POINTS > fine.shown_s else fine
    failed = series.failed(trial.requests, grid)
    return _Columns(
        trial=trial,
        left_s=grid.left_s,
        step_s=grid.shown_s,
        fine_s=grid.fine_s,
        answered=series.answered(trial.requests, grid),
        failed=failed["reads"] + failed["writes"],
    )


def _small(columns: _Columns, frame: Multiples) -> Small:
    at, trial = columns.trial.clock, columns.trial
    base = np.zeros(len(columns.left_s))
    areas = []
    for region in frame.regions:
        top = base + columns.answered.get(region, np.zeros(len(base)))
        band = ANSWERS * (1 - np.array([base, top]) / frame.most_answers)
        areas.append(_area(columns, frame, band[0], band[1]))
        base = top
    floor = ANSWERS + GAP + FAILED
    failed = _area(columns, frame, np.full(len(base), floor), floor - FAILED * columns.failed / frame.most_failed)
    healed = None if at.healed is None else frame.x(at.s(at.healed))
    left = frame.x(0.0)
    width = round((healed if healed is not None else frame.x(at.s(at.end))) - left, 1)
    injected = at.injected is not None
    return Small(
        trial=trial,
        answers=tuple(areas),
        failed=failed if columns.failed.any() else "",
        fault=(left, max(width, 0.5)) if injected else None,
        heal=healed if injected else None,
        described=_describe(trial),
    )


def _area(columns: _Columns, frame: Multiples, low: Floats, high: Floats) -> str:
    """A filled step between two heights as an SVG path; empty where both are the same throughout."""
    if np.array_equal(low, high):
        return ""
    left, right = columns.left_s, columns.left_s + columns.step_s
    forth = [_step(frame, a, b, y) for a, b, y in zip(left, right, high, strict=True)]
    back = [_step(frame, b, a, y) for a, b, y in zip(left, right, low, strict=True)]
    return f"M{forth[0][1:]}{''.join(forth[1:])}{''.join(back[::-1])}Z"


def _step(frame: Multiples, a: float, b: float, y: float) -> str:
    return f"L{_near(frame.x(a))} {y:.1f}H{_near(frame.x(b))}"


def _near(x: float) -> str:
    return f"{min(max(x, 0.0), WIDTH):g}"


def _describe(trial: Trial) -> str:
    bad = trial.requests.failed
    failed = wording.count(int(bad.sum()), "request")
    hurt = [m for name in ("rto_read_s", "rto_write_s") if (m := trial.measure(name)) is not None]
    said = "".join(f"; {wording.label(m.name).lower()} {wording.measured(m)}" for m in hurt)
    return f"{wording.trial_name(trial)}, {trial.outcome}: {failed} failed{said}."
