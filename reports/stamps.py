"""A measure over runs as a drawing the size of a stamp: SVG in the page, which needs no script to be read.

Runs stand at equal distances, the oldest left. What was not observed stands below the axis: it is no zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports import wording
from reports.facts import Measured
from reports.trends import Course, Run

WIDTH, HEIGHT = 360, 128
_LEFT, _RIGHT, _TOP, _BOTTOM = 10.0, 350.0, 20.0, 92.0
UNSEEN_Y = 112.0


@dataclass(frozen=True)
class Dot:
    """One run in the drawing: ``shape`` tells the outcome without colour."""

    x: float
    y: float
    shape: str
    tone: str
    said: str
    report: str


@dataclass(frozen=True)
class Line:
    """A piece of a horizontal line."""

    x1: float
    x2: float
    y: float


@dataclass(frozen=True)
class Stamp:
    """The drawing of one measure; ``low`` and ``high`` are the ends of its axis in words."""

    name: str
    label: str
    last: str
    bound: str
    path: str
    dots: tuple[Dot, ...]
    bounds: tuple[Line, ...]
    baselines: tuple[Line, ...]
    anew: tuple[float, ...]
    unseen: bool
    low: str
    high: str
    described: str


class _Scale:
    """From a value to its height in the drawing; ``None`` where no figure is known."""

    def __init__(self, figures: list[float], unit: str) -> None:
        low, high = (min(figures), max(figures)) if figures else (0.0, 1.0)
        if unit != "ratio":  # of times and counts nothing is what a reader compares with
            low = min(0.0, low)
        room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        self.low, self.high = (low if low == 0 else low - room), high + room

    def y(self, value: float) -> float:
        return round(_BOTTOM - (value - self.low) / (self.high - self.low) * (_BOTTOM - _TOP), 2)


def stamp(course: Course) -> Stamp:
    """The drawing of a measure's course."""
    known = [m for m in course.measured if m is not None]
    last = known[-1]
    scale = _Scale(_figures(known), last.unit)
    step = (_RIGHT - _LEFT) / max(len(course.runs) - 1, 1)
    xs = [round(_LEFT + i * step, 2) if len(course.runs) > 1 else (_LEFT + _RIGHT) / 2 for i in range(len(course.runs))]
    pairs = list(zip(xs, course.measured, strict=True))
    observed = [m.value for m in known if m.value is not None]
    return Stamp(
        name=course.name,
        label=wording.label(course.name),
        last=wording.measured(last),
        bound=wording.bound(last),
        path=_path(pairs, scale),
        dots=tuple(dot for (x, m), run in zip(pairs, course.runs, strict=True) if (dot := _dot(x, m, run, scale))),
        bounds=_lines([(x, [y for _, y in wording.limits(m)] if m else []) for x, m in pairs], scale, step),
        baselines=_lines([(x, [m.baseline] if m and m.baseline is not None else []) for x, m in pairs], scale, step),
        anew=tuple(round(x - step / 2, 2) for x, anew in zip(xs, course.anew, strict=True) if anew),
        unseen=len(observed) < len(known),
        low=wording.figure(min(observed), last.unit) if observed else "",
        high=wording.figure(max(observed), last.unit) if observed else "",
        described=_described(course, known, last),
    )


def _figures(known: list[Measured]) -> list[float]:
    """Everything that must find room on the axis."""
    values = [m.value for m in known if m.value is not None]
    values += [m.baseline for m in known if m.baseline is not None]
    return values + [limit for m in known for _, limit in wording.limits(m)]


def _path(pairs: list[tuple[float, Measured | None]], scale: _Scale) -> str:
    """The line through what was observed, broken where nothing was."""
    parts, pen = [], "M"
    for x, m in pairs:
        if m is None or m.value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{x:g} {scale.y(m.value):g}")
        pen = "L"
    return "".join(parts)


def _dot(x: float, m: Measured | None, run: Run, scale: _Scale) -> Dot | None:
    """The run's place in the drawing; None where its drill did not ask for the measure."""
    when = f"{wording.moment(run.started_at)}: " if run.started_at else ""
    if m is None:
        nothing = f"{when}nothing was measured (run {run.name})"
        return None if run.measures else Dot(x, UNSEEN_Y, "unseen", "unknown", nothing, run.report)
    said = f"{when}{wording.measured(m)}, {m.outcome or 'not judged'} (run {run.name})"
    if m.value is None:
        return Dot(x, UNSEEN_Y, "unseen", "unknown", said, run.report)
    shape = "censored" if m.censored else {"PASS": "pass", "FAIL": "fail"}.get(m.outcome, "unknown")
    return Dot(x, scale.y(m.value), shape, (m.outcome or "unknown").lower(), said, run.report)


def _lines(at: list[tuple[float, list[float]]], scale: _Scale, step: float) -> tuple[Line, ...]:
    """A horizontal piece around each run for each of its figures; neighbours at the same height become one."""
    half = step / 2 if len(at) > 1 else (_RIGHT - _LEFT) / 2
    open_: dict[float, Line] = {}
    done: list[Line] = []
    for x, figures in at:
        here = {scale.y(figure) for figure in figures}
        done += [line for y, line in open_.items() if y not in here]
        left, right = round(max(x - half, _LEFT - 4), 2), round(min(x + half, _RIGHT + 4), 2)
        open_ = {y: Line(open_[y].x1 if y in open_ else left, right, y) for y in here}
    return tuple(sorted([*done, *open_.values()], key=lambda line: (line.x1, line.y)))


def _described(course: Course, known: list[Measured], last: Measured) -> str:
    """The drawing in words."""
    observed = [m.value for m in known if m.value is not None]
    unseen = len(known) - len(observed)
    parts = [
        f"{wording.label(course.name)} over {wording.count(len(course.runs), 'run')}: last {wording.measured(last)}"
    ]
    if len(observed) > 1:
        parts.append(f"from {wording.figure(min(observed), last.unit)} to {wording.figure(max(observed), last.unit)}")
    if unseen:
        parts.append(f"not observed in {unseen}")
    if last.objective:
        parts.append(f"allowed {wording.objective(last)}")
    return ", ".join(parts)
