"""What the charts of one trial share: the time axis, the crosshair, the marked moments, colours and tooltips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from bokeh.models import ColumnDataSource, CrosshairTool, HoverTool, Range1d
from bokeh.models.annotations import BoxAnnotation, Span
from bokeh.models.glyphs import VSpan
from bokeh.plotting import figure
from markupsafe import escape

from reports import happenings
from reports.facts import Trial
from reports.series import Bins

# Mid-tones: each stands out at 3:1 or more from both a white and a near-black page.
REGION_COLOURS = ("#2b7bc4", "#c8641b", "#7a5fc7", "#1b8a72", "#a8508f")
FAILED_COLOUR = {"reads": "#d33f49", "writes": "#8f5fbf"}
FAULT_COLOUR = "#b8860b"
GREY = "#7b848f"
STAMP_COLOUR = "#4a5360"
HATCHES = (" ", "/", ".", "x", "-")
INK, SOFT = "#1c2127", "#57606b"
_ENDS = {"injected", "healed"}


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


Drawn = tuple[Any, Chart]
"""A Bokeh plot with what the page says of it."""


class Frame:
    """What the charts of one trial share: the time axis, the crosshair, the marked moments."""

    def __init__(self, trial: Trial, grid: Bins) -> None:
        self.trial, self.grid = trial, grid
        at = trial.clock
        low, high = at.s(at.start), at.s(at.end)
        self.x_range = Range1d(start=low, end=high, bounds=(low, high))
        self.cursor = Span(dimension="height", line_width=1, line_color=GREY)
        self.marked = _marked(trial)

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
        lines = VSpan(x="x", line_color="colour", line_width="width", line_dash="dash")
        plot.add_glyph(self.marked, lines, level="underlay")


def _marked(trial: Trial) -> ColumnDataSource:
    """Where each chart has a line: the fault and its healing stand out."""
    ends = [mark.key in _ENDS for mark in trial.marks]
    return ColumnDataSource(
        {
            "x": [mark.t_s for mark in trial.marks],
            "colour": [FAULT_COLOUR if end else GREY for end in ends],
            "width": [1.5 if end else 1.0 for end in ends],
            "dash": [[] if end else [2, 4] for end in ends],
        }
    )


def spans(trial: Trial) -> list[tuple[str, int, int]]:
    return happenings.spans(trial.clock)


def region_colour(code: int) -> str:
    return REGION_COLOURS[code % len(REGION_COLOURS)]


def region_key(code: int, name: str, renderer: str) -> Key:
    pattern = ("plain", "diagonal", "dots", "cross", "horizontal")[code % 5]
    return Key(name, renderer, region_colour(code), pattern)


def hover(plot: Any, renderer: Any, tips: list[tuple[str, str]]) -> None:
    shown = _tooltip([("at", "$snap_x{0.00} s"), *tips])
    plot.add_tools(HoverTool(renderers=[renderer], mode="vline", tooltips=shown))


def _tooltip(tips: list[tuple[str, str]]) -> str:
    """Bokeh's template for a tooltip: its own labels are too pale to read. Ours stay text, no fields."""
    return "".join(
        f'<div style="color: {INK}"><span style="color: {SOFT}">{_plain(label)}:</span> {field}</div>'
        for label, field in tips
    )


def _plain(label: str) -> str:
    return str(escape(label)).replace("@", "&#65312;").replace("$", "&#65284;")


def rounded(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(np.round(values, 4), dtype=np.float32) for name, values in columns.items()}
