"""Bokeh's own JavaScript, and charts as the JSON that it draws them from.

Its ids are renumbered here: Bokeh counts them up through a process, and a report must stay the same.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import bokeh
from bokeh.document import Document
from bokeh.models.renderers import GlyphRenderer


@cache
def library() -> str:
    """Bokeh's own minified JavaScript."""
    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    script = path.read_text(encoding="utf-8").strip()
    if "</script" in script.lower() or "\r" in script:
        raise RuntimeError(f"{path} cannot stand inside a page as it is")
    return script


def document_of(plots: list[Any]) -> tuple[str, list[str]]:
    """The document as JSON that can stand in a script element, and its roots' ids in order."""
    document = Document()
    with document.models.freeze():  # or it goes through all models once for each plot
        for plot in plots:
            _slim(plot)
            document.add_root(plot)
    plain = document.to_json(deferred=False)
    ids: dict[str, str] = {}
    renumbered = _renumber(plain, ids)
    return embeddable(renumbered), [ids[plot.id] for plot in plots]


def _slim(plot: Any) -> None:
    """Leave out how glyphs look when others are selected, or muted: nothing here is, and it is half of the document."""
    for renderer in plot.renderers:
        if isinstance(renderer, GlyphRenderer):
            renderer.nonselection_glyph = renderer.muted_glyph = None


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
