"""Ids as files write them, so that one thing has one id wherever it stands."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

MISSING = ("", "null", "NULL", "nan", "NaN", "None", "\\N")
"""How files write that nothing is known."""

_FLOAT = re.compile(r"-?[0-9]+\.0")


def whole(ids: Sequence[str]) -> list[str]:
    """``1.0`` as ``1`` where all ids have that form: pandas writes whole numbers so where a column has gaps.

    All or none, for ``1.0`` beside ``1.5`` is no whole number.
    """
    if not all(_FLOAT.fullmatch(name) for name in ids):
        return list(ids)
    return [name[: -len(".0")] for name in ids]


def text(cell: Any) -> str | None:
    """An id from a cell of any type; None where there is none."""
    if isinstance(cell, float):
        return None if math.isnan(cell) else f"{cell:.1f}" if cell.is_integer() else str(cell)
    name = "" if cell is None else str(cell)
    return None if name in MISSING else name
