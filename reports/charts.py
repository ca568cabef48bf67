"""A trial's charts as one Bokeh document, so that all of them share their time axis and crosshair.

Bokeh, because its own JavaScript is in its wheel: the page that holds it opens offline, and no drawing code
is ours. Its ids are renumbered here: Bokeh counts them up through a process, and a report must stay the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import bokeh
import numpy as np
from bokeh.document import Document
from bokeh.models import (
    ColumnDataSource,
    CrosshairTool,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.models.annotations import BoxAnnotation, LabelSet, Span
from bokeh.plotting import figure
from markupsafe import escape

from reports import series, wording
from reports.facts import Measured, Trial
from reports.happenings import Mark
from reports.series import Bins, Floats

# Mid-tones: each stands out at 3:1 or more from both a white and a near-black page.
REGION_COLOURS = ("#2b7bc4", "#c8641b", "#7a5fc7", "#1b8a72", "#a8508f")
FAILED_COLOUR = {"reads": "#d33f49", "writes": "#8f5fbf"}
FAULT_COLOUR = "#b8860b"
GREY = "#7b848f"
STAMP_COLOUR = "#4a5360"
HATCHES = (" ", "/", ".", "x", "-")
_INK, _SOFT = "#1c2127", "#57606b"
_ENDS = {"injected", "healed"}
_LATENCY_STEP_S = 0.5
_APART = 0.07
"""Share of the time axis that two stamps must be apart to stand side by side on a phone."""


@dataclass(frozen=True)
class Key:
    """One entry of a chart's legend; ``name`` is that of the Bokeh renderers it shows and hides."""

    label: str
    name: str
    colour: str
    pattern: str


@dataclass(frozen=True)
class Chart:
    """One drawn chart: ``root`` is its id in the trial's document, ``described`` its alternative text."""

    root: str
    title: str
    note: str
    described: str
    keys: tuple[Key, ...]
    height: int


@dataclass(frozen=True)
class Drawing:
    """The charts of a trial with the document (JSON) that Bokeh draws them from."""

    document: str
    charts: tuple[Chart, ...]


@cache
def library() -> str:
    """Bokeh's own minified JavaScript."""
    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    script = path.read_text(encoding="utf-8").strip()
    if "</script" in script.lower() or "\r" in script:
        raise RuntimeError(f"{path} cannot stand inside a page as it is")
    return script


class _Frame:
    """What the charts of one trial share: the time axis, the crosshair, the marked moments."""

    def __init__(self, trial: Trial, grid: Bins) -> None:
        self.trial, self.grid = trial, grid
        at = trial.clock
        low, high = at.s(at.start), at.s(at.end)
        self.x_range = Range1d(start=low, end=high, bounds=(low, high))
        self.cursor = Span(dimension="height", line_width=1, line_color=GREY)

    def plot(self, height: int, y_range: Any = None, axis: Literal["auto", "log"] = "auto") -> Any:
        given = {} if y_range is None else {"y_range": y_range}
        plot = figure(
            height=height,
            sizing_mode="stretch_width",
            output_backend="svg",
            x_range=self.x_range,
            y_axis_type=axis,
            tools="xbox_zoom",
            toolbar_location=None,
            min_border_left=72,
            min_border_right=12,
            **given,
        )
        plot.add_tools(CrosshairTool(overlay=self.cursor))
        plot.background_fill_color = plot.border_fill_color = plot.outline_line_color = None
        plot.xgrid.grid_line_color = None
        plot.ygrid.grid_line_alpha = 0.5
        plot.xaxis.axis_label = "seconds since the fault" if self.trial.clock.injected else "seconds since the start"
        self._mark(plot)
        return plot

    def _mark(self, plot: Any) -> None:
        """Shade the fault and draw a line at each marked moment, below everything else."""
        at = self.trial.clock
        if at.injected is not None:
            end = at.s(at.healed if at.healed is not None else at.end)
            plot.add_layout(
                BoxAnnotation(
                    left=0,
                    right=end,
                    fill_color=FAULT_COLOUR,
                    fill_alpha=0.10,
                    line_color=None,
                    level="underlay",
                )
            )
        ends = [mark.t_s for mark in self.trial.marks if mark.key in _ENDS]
        rest = [mark.t_s for mark in self.trial.marks if mark.key not in _ENDS]
        plot.vspan(x=rest, line_color=GREY, line_width=1, line_dash="dotted", level="underlay")
        plot.vspan(x=ends, line_color=FAULT_COLOUR, line_width=1.5, level="underlay")


def draw(trial: Trial, baseline: dict[str, Any]) -> Drawing | None:
    """All charts of a trial; None where nothing is on its timeline.

    ``baseline`` is the data of the event ``baseline.recorded``.
    """
    at = trial.clock
    if not len(trial.requests) and not trial.marks:
        return None
    grid = series.bins(at.start, at.end, at.zero)
    frame = _Frame(trial, grid)
    drawn = [_overview(frame)]
    if len(trial.requests):
        drawn += [_throughput(frame), _failures(frame), _latency(frame)]
        quality = _recall(frame, baseline)
        drawn += [] if quality is None else [quality]
    document, roots = _document([plot for plot, _ in drawn])
    charts = tuple(
        Chart(root, c.title, c.note, c.described, c.keys, c.height) for root, (_, c) in zip(roots, drawn, strict=True)
    )
    return Drawing(document, charts)


_Drawn = tuple[Any, Chart]


def _overview(frame: _Frame) -> _Drawn:
    """One bar each for the fault and for who was hurt by it, and the numbered moments."""
    trial, at = frame.trial, frame.trial.clock
    bars = _bars(trial)
    rows = ["moments", *(name for name, *_ in reversed(bars))]
    plot = frame.plot(64 + 34 * len(rows), y_range=rows)
    plot.ygrid.grid_line_color = None
    for name, left, right, colour, hatch, said in bars:
        source = ColumnDataSource({"y": [name], "left": [left], "right": [right], "said": [said]})
        plot.hbar(
            y="y",
            left="left",
            right="right",
            height=0.6,
            source=source,
            color=colour,
            hatch_pattern=hatch,
            hatch_color="#ffffff",
            hatch_alpha=0.55,
            hatch_scale=8,
        )
        plot.add_layout(_bar_label(source))
    if trial.marks:
        _moments(plot, trial, at.s(at.end) - at.s(at.start))
    said = "; ".join(f"{name}: {text}" for name, *_, text in bars) or "no fault was injected"
    chart = Chart(
        "",
        "What happened",
        "The numbers are the moments in the table of phases. Zero is the fault's acknowledged injection.",
        f"Bars on the time axis. {said}. {wording.count(len(trial.marks), 'moment')} marked.",
        (),
        plot.height,
    )
    return plot, chart


def _bars(trial: Trial) -> list[tuple[str, float, float, str, str, str]]:
    at = trial.clock
    if at.injected is None:
        return []
    end = at.s(at.end)
    healed = end if at.healed is None else at.s(at.healed)
    bars = [("fault", 0.0, healed, FAULT_COLOUR, " ", f"{healed:.1f} s" + ("" if at.healed else ", not healed"))]
    for row, name, colour, hatch in (
        ("reads", "rto_read_s", FAILED_COLOUR["reads"], "/"),
        ("writes", "rto_write_s", FAILED_COLOUR["writes"], "x"),
        ("quality", "rto_quality_s", REGION_COLOURS[3], "."),
    ):
        m = trial.measure(name)
        if m is not None and m.value is not None:
            hurt = end if m.censored else min(m.value, end)
            said = f"disturbed {wording.measured(m)}" if m.value else "no disturbance seen"
            bars.append((row, 0.0, hurt, colour, hatch, said))
    return bars


def _bar_label(source: ColumnDataSource) -> LabelSet:
    return LabelSet(
        x="right",
        y="y",
        text="said",
        source=source,
        x_offset=7,
        text_baseline="middle",
        text_font_size="12px",
        text_color=_INK,
        tags=["ink"],
    )


def _moments(plot: Any, trial: Trial, width_s: float) -> None:
    """The moments' numbers where they happened; close ones share one stamp, as in "2–5"."""
    groups: list[list[Mark]] = []
    for mark in trial.marks:
        if groups and mark.t_s - groups[-1][0].t_s < _APART * width_s:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    data = {
        "x": [group[0].t_s for group in groups],
        "y": ["moments" for _ in groups],
        "n": [str(g[0].number) if len(g) == 1 else f"{g[0].number}–{g[-1].number}" for g in groups],
        "label": [", ".join(f"{mark.label} {mark.t_s:.2f} s" for mark in group) for group in groups],
    }
    stamps = plot.text(
        "x",
        "y",
        text="n",
        source=ColumnDataSource(data),
        text_align="left",
        text_baseline="middle",
        text_font_size="11px",
        text_color="#ffffff",
        background_fill_color=STAMP_COLOUR,
        border_radius=7,
        padding=3,
        anchor="center_left",
    )
    plot.add_tools(HoverTool(renderers=[stamps], tooltips=f'<div style="color: {_INK}"><b>@n</b> @label</div>'))


def _throughput(frame: _Frame) -> _Drawn:
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
        keys.append(_region_key(code, name, f"answers{code}"))
        tips.append((name, f"@rate{code}{{0.0}}/s"))
    source = ColumnDataSource(_rounded(columns))
    for code in range(len(by_region)):
        plot.varea_step(
            x="x",
            y1=f"low{code}",
            y2=f"high{code}",
            step_mode="after",
            source=source,
            name=f"answers{code}",
            fill_color=_region_colour(code),
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
    _hover(plot, line, tips)
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
    spans = _spans(trial)
    parts = []
    for code, name in enumerate(by_region):
        good = trial.requests.where(trial.requests.ok & (trial.requests.region == code))
        rates = [
            f"{((good.done >= a) & (good.done < b)).sum() / max((b - a) / 1e9, 1e-9):.0f}/s {phase}"
            for phase, a, b in spans
        ]
        parts.append(f"{name}: {', '.join(rates)}")
    return "Answers a second by region. " + ("; ".join(parts) or "No region answered") + "."


def _spans(trial: Trial) -> list[tuple[str, int, int]]:
    at = trial.clock
    if at.injected is None:
        return [("throughout", at.start, at.end)]
    healed = at.end if at.healed is None else at.healed
    spans = [
        ("before the fault", at.start, at.injected),
        ("during it", at.injected, healed),
        ("after healing", healed, at.end),
    ]
    return [(name, a, b) for name, a, b in spans if b > a]


def _failures(frame: _Frame) -> _Drawn:
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
    source = ColumnDataSource(_rounded(columns))
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
    _hover(plot, line, tips)
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


def _beside(there: series.Flags) -> series.Flags:
    """True where ``there`` is, and one place to either side."""
    return np.asarray(there | np.append(there[1:], False) | np.insert(there[:-1], 0, False))


def _latency(frame: _Frame) -> _Drawn:
    # Clients come in bursts: in steps shorter than theirs the median would only show those.
    grid, trial = frame.grid.at_least(_LATENCY_STEP_S), frame.trial
    by_region = series.latency_ms(trial.requests, grid)
    plot = frame.plot(230, axis="log")
    plot.yaxis.axis_label = "ms (log scale)"
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    keys = []
    for code, (name, (p50, p99)) in enumerate(by_region.items()):
        middle = grid.left_s + grid.shown_s / 2
        source = ColumnDataSource(_rounded({"x": middle, "p50": p50, "p99": p99}))
        colour = _region_colour(code)
        marker = ("circle", "square", "triangle", "diamond", "plus")[code % 5]
        for quantile, dash, width in (("p50", "solid", 1.6), ("p99", (4, 2), 1.3)):
            name_ = f"{quantile}_{code}"
            plot.line("x", quantile, source=source, name=name_, color=colour, line_width=width, line_dash=dash)
            keys.append(Key(f"{name} {quantile}", name_, colour, "solid" if quantile == "p50" else "dashed"))
        plot.scatter("x", "p99", source=source, name=f"p99_{code}", color=colour, size=3, marker=marker)
        line = plot.line("x", "p99", source=source, line_alpha=0)
        _hover(plot, line, [(f"{name} p50", "@p50{0.0} ms"), (f"{name} p99", "@p99{0.0} ms")])
    each = f"{grid.shown_s:g} s"
    described = _describe_latency(trial)
    chart = Chart(
        "",
        "Latency by region",
        f"Successful answers, counted from the moment each was due. p50 of each {each}; p99 is the highest of"
        f" any {grid.fine_s:g} s in it, which is its slowest answer where there were under 100.",
        described,
        tuple(keys),
        plot.height,
    )
    return plot, chart


def _describe_latency(trial: Trial) -> str:
    good = trial.requests.where(trial.requests.ok)
    took = (good.done - good.due) / 1e6
    parts = []
    for phase, a, b in _spans(trial):
        own = took[(good.due >= a) & (good.due < b)]
        if len(own):
            p50, p99 = np.quantile(own, [0.5, 0.99], method="higher")
            parts.append(f"p50 {wording.figure(float(p50), 'ms')}, p99 {wording.figure(float(p99), 'ms')} {phase}")
    return "Latency of successful answers over time, log scale. " + ("; ".join(parts) or "None was answered") + "."


def _recall(frame: _Frame, baseline: dict[str, Any]) -> _Drawn | None:
    """Rolling recall of the quality probes; None where there were none."""
    hits = baseline.get("quality")
    found = series.recall(frame.trial.requests, frame.grid, hits if isinstance(hits, dict) else {})
    if not found.asked.any():
        return None
    m = next((m for m in frame.trial.measures if m.name.startswith("recall_at_")), None)
    plot = frame.plot(190)
    plot.yaxis.axis_label = wording.label(m.name).lower() if m else "recall"
    columns = {"x": found.t_s, "recall": found.value, "asked": found.asked}
    keys = [Key("recall in this trial", "recall", REGION_COLOURS[3], "solid")]
    tips = [("recall", "@recall{0.000}"), ("users asked", "@asked")]
    if found.same_users is not None:
        columns["same"] = found.same_users
        tips.insert(1, ("same users, baseline", "@same{0.000}"))
        keys.append(Key("the same users in the baseline", "same", GREY, "dashed"))
    source = ColumnDataSource(_rounded(columns))
    if found.same_users is not None:
        plot.line("x", "same", source=source, name="same", color=GREY, line_dash="dashed", line_width=1.6)
    line = plot.line("x", "recall", source=source, name="recall", color=REGION_COLOURS[3], line_width=1.8)
    whole = m.baseline if m is not None else None
    if whole is not None:
        plot.add_layout(Span(location=whole, dimension="width", line_color=GREY, line_dash="dotted", line_width=1.4))
        keys.append(Key(f"baseline over all users ({whole:.3f})", "", GREY, "dotted"))
    top = float(np.nanmax(np.concatenate([found.value, [whole or 0.0]])))
    plot.y_range = Range1d(start=0, end=min(1.05, max(top * 1.3, 0.1)))
    _hover(plot, line, tips)
    chart = Chart(
        "",
        "Are the recommendations still good?",
        f"Recall of held-out users' items over the last {found.window_s:g} s of answered quality probes. It"
        " moves with who is asked: hold it against the same users in the baseline.",
        _describe_recall(m, int(found.asked.max())),
        tuple(keys),
        plot.height,
    )
    return plot, chart


def _describe_recall(m: Measured | None, most: int) -> str:
    if m is None or m.value is None:
        return f"Rolling recall over time, up to {most} users a point."
    base = "" if m.baseline is None else f"; in the baseline {m.baseline:.3f}"
    return f"Rolling recall over time, up to {most} users a point. {wording.label(m.name)} {m.value:.3f}{base}."


def _region_colour(code: int) -> str:
    return REGION_COLOURS[code % len(REGION_COLOURS)]


def _region_key(code: int, name: str, renderer: str) -> Key:
    pattern = ("plain", "diagonal", "dots", "cross", "horizontal")[code % 5]
    return Key(name, renderer, _region_colour(code), pattern)


def _hover(plot: Any, renderer: Any, tips: list[tuple[str, str]]) -> None:
    shown = _tooltip([("at", "$snap_x{0.00} s"), *tips])
    plot.add_tools(HoverTool(renderers=[renderer], mode="vline", tooltips=shown))


def _tooltip(tips: list[tuple[str, str]]) -> str:
    """Bokeh's template for a tooltip: its own labels are too pale to read. Ours stay text, no fields."""
    return "".join(
        f'<div style="color: {_INK}"><span style="color: {_SOFT}">{_plain(label)}:</span> {field}</div>'
        for label, field in tips
    )


def _plain(label: str) -> str:
    return str(escape(label)).replace("@", "&#65312;").replace("$", "&#65284;")


def _rounded(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(np.round(values, 4), dtype=np.float32) for name, values in columns.items()}


def _document(plots: list[Any]) -> tuple[str, list[str]]:
    """The document as JSON that can stand in a script element, and its roots' ids in order."""
    document = Document()
    for plot in plots:
        document.add_root(plot)
    plain = document.to_json(deferred=False)
    ids: dict[str, str] = {}
    renumbered = _renumber(plain, ids)
    return embeddable(renumbered), [ids[plot.id] for plot in plots]


def _renumber(value: Any, ids: dict[str, str]) -> Any:
    """Replace Bokeh's ids by their order of appearance."""
    if isinstance(value, dict):
        return {
            key: ids.setdefault(item, f"r{len(ids)}") if key == "id" and isinstance(item, str) else _renumber(item, ids)
            for key, item in value.items()
        }
    return [_renumber(item, ids) for item in value] if isinstance(value, list) else value


def embeddable(value: Any) -> str:
    """JSON in which nothing can end a script element or start markup."""
    raw = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return raw.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
