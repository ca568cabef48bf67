"""How far the replica was behind its master."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, Range1d

from reports import wording
from reports.charts.frame import REGION_COLOURS, Chart, Drawn, Frame, Key, hover, rounded, spans
from reports.samples import Lag

_LEAST_S = 1.0
"""What the axis shows at least: what is behind by some hundredths of a second must not fill the chart."""


def replication(frame: Frame, lag: Lag) -> Drawn:
    plot = frame.plot(150)
    plot.yaxis.axis_label = "seconds behind"
    colour = REGION_COLOURS[2]
    linked = np.array(lag.linked)
    columns = rounded({"x": lag.t_s, "seconds": lag.seconds, "kb": lag.bytes / 1_000})
    columns["cut"] = np.where(linked, np.nan, columns["seconds"])
    columns["link"] = np.where(linked, "up", "down: as far as it had come before")
    source = ColumnDataSource(columns)
    # A fill would run through the gaps along zero. The dots show a sample that stands alone between two gaps.
    plot.scatter("x", "seconds", source=source, name="lag", color=colour, size=3)
    line = plot.line("x", "seconds", source=source, name="lag", color=colour, line_width=1.8)
    plot.scatter("x", "cut", source=source, name="cut", color=colour, marker="x", size=6)
    worst = np.nanmax(lag.seconds) if not np.isnan(lag.seconds).all() else 0.0
    plot.y_range = Range1d(start=0, end=max(_LEAST_S, 1.1 * float(worst)))
    hover(plot, line, [("behind", "@seconds{0.00} s of writes"), ("bytes", "@kb{0,0.0} kB"), ("its link", "@link")])
    keys = [Key("replica behind its master", "lag", colour, "solid")]
    keys += [] if linked.all() else [Key("its link is down", "cut", colour, "crosses")]
    chart = Chart(
        "",
        "Replication lag",
        "What the master had written and its replica did not have yet, in seconds of writing, twice a second. Both"
        " stores are seen through their nodes, each up to 0.1 s late. A gap: one was not seen, or there was no master"
        " with a replica.",
        _describe(frame, lag),
        tuple(keys),
        plot.height,
    )
    return plot, chart


def _describe(frame: Frame, lag: Lag) -> str:
    at, parts = frame.trial.clock, []
    for phase, a, b in spans(frame.trial):
        worst = lag.worst_s(at.s(a), at.s(b))
        parts.append(f"{phase} " + ("not seen" if worst is None else f"at most {wording.figure(worst, 's', 0.01)}"))
    return f"Replication lag over time: {'; '.join(parts)}."
