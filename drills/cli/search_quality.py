"""The query task of an evaluation as a table for people. Reads what `recsvc.search_task.report` returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

_RANKINGS = {"text": "text", "text_and_popularity": "text + popularity", "personal": "taste", "fused": "as served"}


def tables(report: Mapping[str, Any] | None) -> list[RenderableType]:
    """What to print, from top to bottom; nothing where search was not measured."""
    if report is None:
        return []
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("MRR by kind of query", no_wrap=True)
    table.add_column("queries", justify="right")
    for title in _RANKINGS.values():
        table.add_column(title, justify="right")
    table.add_column("served minus text")
    for kind, figures in report["kinds"].items():
        if kind in ("ambiguous", "all"):
            table.add_section()
        gained = figures["fused_minus_text"]["mrr"]
        table.add_row(
            kind.replace("_", " "),
            f"{figures['cases']:,}",
            *(f"{figures[name]['mrr']:.3f}" for name in _RANKINGS),
            f"{gained['difference']:+.3f}  {gained['low']:+.3f} to {gained['high']:+.3f}",
        )
    again = report["seen_again"]
    return [
        Text("\nSearch, for the item that each held-out user took next", style="bold"),
        table,
        Text(f"Whole titles of items taken before: first in {again['first']:.1%} of {again['cases']:,}.", style="dim"),
    ]
