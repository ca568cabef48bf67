"""How long answers took over time, region by region."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, NumeralTickFormatter

from reports import series, wording
from reports.charts.frame import Chart, Drawn, Frame, Key, hover, region_colour, rounded, spans
from reports.facts import Trial

_LATENCY_STEP_S = 0.5


def latency(frame: Frame) -> Drawn:
    # Clients come in bursts: in steps shorter than theirs the median would only show those.
    grid, trial = frame.grid.at_least(_LATENCY_STEP_S), frame.trial
    by_region = series.latency_ms(trial.requests, grid)
    plot = frame.plot(230, axis="log")
    plot.yaxis.axis_label = "ms (log scale)"
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    keys = []
    for code, (name, took) in enumerate(by_region.items()):
        middle = grid.left_s + grid.shown_s / 2
        columns = {"x": middle, "p50": took.p50, "p99": took.p99, "slowest": took.slowest}
        source = ColumnDataSource(rounded(columns))
        colour = region_colour(code)
        marker = ("circle", "square", "triangle", "diamond", "plus")[code % 5]
        for quantile, dash, width in (("p50", "solid", 1.6), ("p99", (4, 2), 1.3)):
            name_ = f"{quantile}_{code}"
            plot.line("x", quantile, source=source, name=name_, color=colour, line_width=width, line_dash=dash)
            keys.append(Key(f"{name} {quantile}", name_, colour, "solid" if quantile == "p50" else "dashed"))
        plot.scatter("x", "p99", source=source, name=f"p99_{code}", color=colour, size=3, marker=marker)
        if not np.isnan(took.slowest).all():
            plot.scatter("x", "slowest", source=source, name=f"slow_{code}", color=colour, size=7, marker="x")
            keys.append(Key(f"{name}, one slow answer", f"slow_{code}", colour, "crosses"))
        line = plot.line("x", "p99", source=source, line_alpha=0)
        hover(plot, line, [(f"{name} p50", "@p50{0.0} ms"), (f"{name} p99", "@p99{0.0} ms")])
    each = f"{grid.shown_s:g} s"
    described = _describe_latency(trial)
    chart = Chart(
        "",
        "Latency by region",
        f"Successful answers, counted from the moment each was due (corrected for coordinated omission). p50 of each"
        f" {each}; p99 is the highest of any {grid.fine_s:g} s in it, which is its slowest answer where there were"
        " under 100. A cross is the slowest single answer, where it took over twice as long as that p99.",
        described,
        tuple(keys),
        plot.height,
    )
    return plot, chart


def _describe_latency(trial: Trial) -> str:
    good = trial.requests.where(trial.requests.ok)
    took = (good.done - good.due) / 1e6
    parts = []
    for phase, a, b in spans(trial):
        own = took[(good.due >= a) & (good.due < b)]
        if len(own):
            p50, p99 = np.quantile(own, [0.5, 0.99], method="higher")
            parts.append(f"p50 {wording.figure(float(p50), 'ms')}, p99 {wording.figure(float(p99), 'ms')} {phase}")
    return "Latency of successful answers over time, log scale. " + ("; ".join(parts) or "None was answered") + "."
