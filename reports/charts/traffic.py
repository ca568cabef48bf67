"""Who answered, and what failed: counts of requests over time."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource

from reports import series, wording
from reports.charts.frame import (
    FAILED_COLOUR,
    HATCHES,
    Chart,
    Drawn,
    Frame,
    Key,
    hover,
    region_colour,
    region_key,
    rounded,
    spans,
)
from reports.columns import Flags, Floats
from reports.facts import Trial


def throughput(frame: Frame) -> Drawn:
    """Successful answers a second, stacked by the region that gave them."""
    grid, trial = frame.grid, frame.trial
    by_region = series.answered(trial.requests, grid)
    plot = frame.plot(210)
    plot.yaxis.axis_label = "answers/s"
    top = np.zeros(grid.shown)
    keys, tips, columns = [], [], {"x": grid.left_s, "middle": grid.left_s + grid.shown_s / 2}
    for code, (name, rate) in enumerate(by_region.items()):
        columns |= {f"low{code}": top, f"high{code}": top + rate, f"rate{code}": rate}
        top = top + rate
        keys.append(region_key(code, name, f"answers{code}"))
        tips.append((name, f"@rate{code}{{0.0}}/s"))
    source = ColumnDataSource(rounded(columns))
    for code in range(len(by_region)):
        plot.varea_step(
            x="x",
            y1=f"low{code}",
            y2=f"high{code}",
            step_mode="after",
            source=source,
            name=f"answers{code}",
            fill_color=region_colour(code),
            fill_alpha=0.85,
            hatch_pattern=HATCHES[code % 5],
            hatch_color="#ffffff",
            hatch_alpha=0.5,
            hatch_scale=9,
            hatch_weight=1,
        )
    source.data["top"] = np.round(top, 3)
    line = plot.line("middle", "top", source=source, line_alpha=0)
    plot.y_range.start = 0
    hover(plot, line, tips)
    each = f"{grid.shown_s:g} s"
    chart = Chart(
        "",
        "Answers by region",
        f"Successful answers a second, stacked, by the region that gave them; mean of each {each}.",
        _describe_throughput(trial, by_region),
        tuple(keys),
        plot.height,
    )
    return plot, chart


def _describe_throughput(trial: Trial, by_region: dict[str, Floats]) -> str:
    parts = []
    for code, name in enumerate(by_region):
        good = trial.requests.where(trial.requests.ok & (trial.requests.region == code))
        rates = [
            f"{((good.done >= a) & (good.done < b)).sum() / max((b - a) / 1e9, 1e-9):.0f}/s {phase}"
            for phase, a, b in spans(trial)
        ]
        parts.append(f"{name}: {', '.join(rates)}")
    return "Answers a second by region. " + ("; ".join(parts) or "No region answered") + "."


def failures(frame: Frame) -> Drawn:
    """Failed requests by the moment they were due."""
    grid, requests = frame.grid, frame.trial.requests
    counts = series.failed(requests, grid)
    plot = frame.plot(150)
    plot.yaxis.axis_label = "failed"
    base = np.zeros(grid.shown)
    keys, tips, columns = [], [], {"x": grid.left_s, "middle": grid.left_s + grid.shown_s / 2}
    for name, values in counts.items():
        columns |= {f"{name}_low": base, f"{name}_high": base + values, name: values}
        base = base + values
        # Drawn only beside what failed: a line along zero would look like something.
        columns[f"{name}_outline"] = np.where(_beside(values > 0), base, np.nan)
        hatch = "x" if name == "writes" else " "
        keys.append(Key(f"failed {name}", f"failed_{name}", FAILED_COLOUR[name], "cross" if hatch == "x" else "plain"))
        tips.append((name, f"@{name}"))
    source = ColumnDataSource(rounded(columns))
    for name in counts:
        plot.varea_step(
            x="x",
            y1=f"{name}_low",
            y2=f"{name}_high",
            step_mode="after",
            source=source,
            name=f"failed_{name}",
            fill_color=FAILED_COLOUR[name],
            hatch_pattern="x" if name == "writes" else " ",
            hatch_color="#ffffff",
            hatch_alpha=0.5,
            hatch_scale=7,
        )
        # An outline, so that one failure among hundreds of points still is a visible line.
        outline = {"name": f"failed_{name}", "line_color": FAILED_COLOUR[name], "line_width": 1.2}
        plot.step("x", f"{name}_outline", mode="after", source=source, **outline)
    source.data["top"] = base
    line = plot.line("middle", "top", source=source, line_alpha=0)
    plot.y_range.start = 0
    if not base.any():
        plot.y_range.end = 1
    hover(plot, line, tips)
    bad = requests.failed
    reads, writes = int((bad & ~requests.write).sum()), int((bad & requests.write).sum())
    worst = "" if grid.group == 1 else f"; a point shows the worst {grid.fine_s:g} s of its {grid.shown_s:g} s"
    sent = int(requests.sent.sum())
    said = f"{wording.count(reads, 'read')} and {wording.count(writes, 'write')} failed, of {sent:,} requests"
    if sent < len(requests):
        said += f"; {len(requests) - sent:,} more were never sent, by recdr's own fault"
    chart = Chart(
        "",
        "Failed requests",
        f"{said}. Counted in each {grid.fine_s:g} s by the moment each was due{worst}.",
        f"Failed requests over time. {said}.",
        tuple(keys),
        plot.height,
    )
    return plot, chart


def _beside(there: Flags) -> Flags:
    """True where ``there`` is, and one place to either side."""
    return np.asarray(there | np.append(there[1:], False) | np.insert(there[:-1], 0, False))
