"""The state of each node's accelerator, as the node itself said: one strip a node."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, HoverTool

from reports.charts.frame import (
    FAILED_COLOUR,
    FAULT_COLOUR,
    GREY,
    INK,
    REGION_COLOURS,
    STAMP_COLOUR,
    Chart,
    Drawn,
    Frame,
    Key,
)
from reports.samples import NO_ANSWER, STATES, Node, Samples

_LOOKS = {
    "ok": (REGION_COLOURS[3], 0.45, " ", "plain", ""),
    "degraded": (FAILED_COLOUR["reads"], 0.85, "x", "cross", "D"),
    "recovering": (FAULT_COLOUR, 0.85, "/", "diagonal", "R"),
    NO_ANSWER: (GREY, 0.0, " ", "outline", "–"),
}
"""State: colour, how dense, hatch, the legend's pattern, the letter that stands at its beginning."""


def nodes(frame: Frame, seen: Samples) -> Drawn:
    # "primary/node-1" on two lines: the charts' axes stand below each other, and that leaves little room.
    rows = [_row(node, i) for i, node in enumerate(seen.nodes)]
    plot = frame.plot(60 + 32 * len(rows), y_range=rows[::-1])
    plot.ygrid.grid_line_color = None
    keys = []
    for state, (colour, density, hatch, pattern, letter) in _LOOKS.items():
        data = _columns(seen.nodes, rows, state)
        if not data["y"]:
            continue
        source = ColumnDataSource(data)
        bars = plot.hbar(
            y="y",
            left="left",
            right="right",
            height=0.55,
            source=source,
            name=f"state_{state}",
            fill_color=colour,
            fill_alpha=density,
            line_color=colour,
            line_dash="dotted" if state == NO_ANSWER else "solid",
            hatch_pattern=hatch,
            hatch_color="#ffffff",
            hatch_alpha=0.6,
            hatch_scale=7,
        )
        tip = f'<div style="color: {INK}">@node: <b>{state}</b><br>@left{{0.00}} to @right{{0.00}} s</div>'
        plot.add_tools(HoverTool(renderers=[bars], tooltips=tip))
        if letter:
            _letters(plot, source, letter)
        label = f"{letter} {state}" if letter else state
        keys.append(Key(label, "", colour, pattern))
    chart = Chart("", _title(seen.nodes), _note(seen), _describe(seen.nodes), tuple(keys), plot.height)
    return plot, chart


def _row(node: Node, number: int) -> str:
    region, _, name = node.name.rpartition("/")
    said = f"{region[:10]}\n{name[:10]}" if region else node.name[:10]
    return said + "\u200b" * number  # rows must differ, whatever nodes are called


def _columns(all_nodes: tuple[Node, ...], rows: list[str], state: str) -> dict[str, list[str | float]]:
    named = zip(rows, all_nodes, strict=True)
    found = [(row, node.name, s) for row, node in named for s in node.stretches if s.state == state]
    return {
        "y": [row for row, _, _ in found],
        "left": [round(s.begin_s, 3) for _, _, s in found],
        "right": [round(s.end_s, 3) for _, _, s in found],
        "node": [name for _, name, _ in found],
    }


def _letters(plot: Any, source: ColumnDataSource, letter: str) -> None:
    """The state's letter where it begins: its colour alone says nothing to many, and a hatch is hard to name."""
    source.data["letter"] = [letter] * len(source.data["y"])
    plot.text(
        "left",
        "y",
        text="letter",
        source=source,
        x_offset=2,
        text_baseline="middle",
        text_font_size="10px",
        text_color="#ffffff",
        background_fill_color=STAMP_COLOUR,
        border_radius=3,
        padding=2,
        anchor="center_left",
    )


def _title(all_nodes: tuple[Node, ...]) -> str:
    kinds = {node.accelerator for node in all_nodes if node.accelerator}
    gpu = kinds & {"cuda", "simulated"}
    return "GPU of each node" if gpu else "Accelerator of each node"


def _note(seen: Samples) -> str:
    kinds = sorted({node.accelerator for node in seen.nodes if node.accelerator})
    on = {"cuda": "a GPU (CUDA)", "simulated": "a simulated GPU", "cpu": "the CPU, which cannot be lost"}
    computed = " and ".join(on.get(kind, kind) for kind in kinds) or "what was never said"
    more = f" {seen.more_nodes} more nodes are not shown." if seen.more_nodes else ""
    return (
        f"What each node said of itself, asked twice a second from the edge; it is to compute on {computed}. Degraded:"
        f" it answers from its CPU instead; recovering: it tries the accelerator again.{more}"
    )


def _describe(all_nodes: tuple[Node, ...]) -> str:
    said = []
    for node in all_nodes:
        times = {state: node.seconds(state) for state in (*STATES, NO_ANSWER)}
        shown = ", ".join(f"{state} for {seconds:.1f} s" for state, seconds in times.items() if seconds)
        said.append(f"{node.name}: {shown or 'not seen'}")
    return f"Each node's own state over time. {'; '.join(said)}."
