"""Whether the recommendations were still good: rolling recall beside the same users' in the baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations import Span

from reports import series, wording
from reports.charts.frame import GREY, REGION_COLOURS, Chart, Drawn, Frame, Key, hover, rounded
from reports.facts import Measured


def recall(frame: Frame, baseline: dict[str, Any]) -> Drawn | None:
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
    source = ColumnDataSource(rounded(columns))
    if found.same_users is not None:
        plot.line("x", "same", source=source, name="same", color=GREY, line_dash="dashed", line_width=1.6)
    line = plot.line("x", "recall", source=source, name="recall", color=REGION_COLOURS[3], line_width=1.8)
    whole = m.baseline if m is not None else None
    if whole is not None:
        plot.add_layout(Span(location=whole, dimension="width", line_color=GREY, line_dash="dotted", line_width=1.4))
        keys.append(Key(f"baseline over all users ({whole:.3f})", "", GREY, "dotted"))
    top = float(np.nanmax(np.concatenate([found.value, [whole or 0.0]])))
    plot.y_range = Range1d(start=0, end=min(1.05, max(top * 1.3, 0.1)))
    hover(plot, line, tips)
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
