"""Values from a run directory made safe to show: whatever wrote them, a report must survive it.

Cleaning is about layout and readers (control characters, endless names, figures that are none). Escaping for
HTML, XML and Markdown is each renderer's own last step.
"""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

LONGEST = 600
"""Characters a shown text may have; a longer one is cut and says so."""

_DEEPEST = 12


def text(value: object, longest: int = LONGEST) -> str:
    """``value`` as one printable line: no control, bidi or line break, cut after ``longest`` characters."""
    raw = value if isinstance(value, str) else _compact(value)
    shown = "".join(_printable(char) for char in raw[:longest])
    return shown if len(raw) <= longest else f"{shown}… ({len(raw):,} characters)"


def _compact(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
    return "" if value is None else str(value)


def _printable(char: str) -> str:
    """Controls become their visible pictures: a planted terminal escape can be seen but does nothing."""
    code = ord(char)
    if char in "\t\n\r":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    # Cc: controls, Cf: bidi overrides and zero-width, Cs: lone surrogates, Co and Cn: no agreed picture,
    # Zl and Zp: line breaks
    return "\ufffd" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else char


def tree(value: Any, depth: int = 0) -> Any:
    """Parsed JSON with every string in it, keys too, cleaned by ``text``; deep nesting becomes text."""
    if isinstance(value, str):
        return text(value)
    if depth >= _DEEPEST:
        return None if value is None else text(str(type(value).__name__))
    if isinstance(value, dict):
        return {text(key): tree(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tree(item, depth + 1) for item in value]
    return value


def number(value: object) -> float | None:
    """A finite figure, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        figure = float(value)
    except OverflowError:
        return None
    return figure if math.isfinite(figure) else None


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def outcome(value: object) -> str:
    """PASS, FAIL or UNKNOWN; anything else is UNKNOWN, for what was not said was not observed."""
    return value if isinstance(value, str) and value in {"PASS", "FAIL"} else "UNKNOWN"
