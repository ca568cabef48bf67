"""Two runs' trials above each other on the same axes: what differs between them is what differs on the page."""

from __future__ import annotations

from dataclasses import replace

from bokeh.models import DataRange1d, Range1d

from reports import series
from reports.charts.document import document_of
from reports.charts.frame import Chart, Drawn, Frame
from reports.charts.latency import latency
from reports.charts.traffic import failures, throughput
from reports.facts import Trial


def draw(trials: dict[str, Trial]) -> tuple[str, tuple[Chart, ...]]:
    """The document and the charts of trials by their names, chart by chart; none of a trial without requests."""
    frames = {name: _frame(trial) for name, trial in trials.items() if len(trial.requests)}
    if not frames:
        return "", ()
    _share_time(list(frames.values()))
    drawn: list[Drawn] = []
    for kind in (throughput, failures, latency):
        pairs = {name: kind(frame) for name, frame in frames.items()}
        _share_height([plot for plot, _ in pairs.values()], from_zero=kind is not latency)
        drawn += [(plot, replace(chart, title=f"{name}: {chart.title}")) for name, (plot, chart) in pairs.items()]
    document, roots = document_of([plot for plot, _ in drawn])
    return document, tuple(replace(chart, root=root) for root, (_, chart) in zip(roots, drawn, strict=True))


def _frame(trial: Trial) -> Frame:
    at = trial.clock
    return Frame(trial, series.bins(at.start, at.end, at.zero))


def _share_time(frames: list[Frame]) -> None:
    """One time axis and one crosshair for all: zooming one zooms the others."""
    clocks = [frame.trial.clock for frame in frames]
    low, high = min(at.s(at.start) for at in clocks), max(at.s(at.end) for at in clocks)
    x_range, cursor = Range1d(start=low, end=high, bounds=(low, high)), frames[0].cursor
    for frame in frames:
        frame.x_range, frame.cursor = x_range, cursor


def _share_height(plots: list[object], *, from_zero: bool) -> None:
    """One value axis for the same chart of both: else the quieter one would look as bad as the other."""
    shared = DataRange1d(start=0, min_interval=1) if from_zero else DataRange1d()
    for plot in plots:
        plot.y_range = shared  # type: ignore[attr-defined]
