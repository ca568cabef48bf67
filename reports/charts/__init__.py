"""A trial's charts as one Bokeh document, so that all of them share their time axis and crosshair.

Bokeh, because its own JavaScript is in its wheel: the page that holds it opens offline, and no drawing code is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from reports import samples, series
from reports.charts.document import document_of, embeddable, library
from reports.charts.frame import Chart, Frame
from reports.charts.latency import latency
from reports.charts.nodes import nodes
from reports.charts.overview import overview
from reports.charts.quality import recall
from reports.charts.replication import replication
from reports.charts.traffic import failures, throughput
from reports.facts import Trial


@dataclass(frozen=True)
class Drawing:
    """The charts of a trial with the document (JSON) that Bokeh draws them from."""

    document: str
    charts: tuple[Chart, ...]


def draw(trial: Trial, baseline: dict[str, Any]) -> Drawing | None:
    """All charts of a trial; None where nothing is on its timeline.

    ``baseline`` is the data of the event ``baseline.recorded``.
    """
    at = trial.clock
    if not len(trial.requests) and not trial.marks:
        return None
    grid = series.bins(at.start, at.end, at.zero)
    frame = Frame(trial, grid)
    drawn = [overview(frame)]
    if len(trial.requests):
        drawn += [throughput(frame), failures(frame), latency(frame)]
        quality = recall(frame, baseline)
        drawn += [] if quality is None else [quality]
    seen = samples.samples(trial.events, at)
    drawn += [] if seen.lag is None else [replication(frame, seen.lag)]
    drawn += [nodes(frame, seen)] if seen.nodes else []
    for plot, _ in drawn[1:-1]:  # all have the same axis: its name stands at the top and the bottom
        plot.xaxis.axis_label = None
    document, roots = document_of([plot for plot, _ in drawn])
    charts = tuple(replace(chart, root=root) for root, (_, chart) in zip(roots, drawn, strict=True))
    return Drawing(document, charts)


__all__ = ["Chart", "Drawing", "draw", "embeddable", "library"]
