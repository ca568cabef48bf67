"""One bar each for the fault and for who was hurt by it, and the numbered moments."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.annotations import LabelSet

from reports import wording
from reports.charts.frame import FAILED_COLOUR, FAULT_COLOUR, INK, REGION_COLOURS, STAMP_COLOUR, Chart, Drawn, Frame
from reports.facts import Trial
from reports.happenings import Mark

_APART = 0.07
"""Share of the time axis that two stamps must be apart to stand side by side on a phone."""


def overview(frame: Frame) -> Drawn:
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
    bars = [("fault", 0.0, healed, FAULT_COLOUR, " ", f"{healed:.1f} s" + ("" if at.healed else ", not seen healed"))]
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
        text_color=INK,
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
    plot.add_tools(HoverTool(renderers=[stamps], tooltips=f'<div style="color: {INK}"><b>@n</b> @label</div>'))
