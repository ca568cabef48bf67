"""Interactions as they are collected from a file, before anything is sorted or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int32]
Times = NDArray[np.int64]

FIRST_LINES = 5
"""How many line numbers of rows that could not be read are kept."""


@dataclass(frozen=True)
class Interactions:
    """Rows in the order of the file: ``user[n]`` and ``item[n]`` are positions in ``user_ids`` and ``item_ids``.

    ``time_s`` is int64, seconds since 1970; all 0 where not ``timed``. ``rows`` counts those that could not be read,
    too. ``headerless``: the first line of the text was taken for a row. The user ids are raw: this never leaves memory.
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    user: Codes
    item: Codes
    time_s: Times
    rows: int
    timed: bool = True
    unreadable: int = 0
    unreadable_lines: tuple[int, ...] = ()
    blank_lines: int = 0
    headerless: bool = False


@dataclass
class Coder:
    """Numbers ids in the order in which they first appear."""

    codes: dict[str, int] = field(default_factory=dict)
    parts: list[Codes] = field(default_factory=list)

    def add(self, ids: pa.DictionaryArray) -> None:
        """Take in a block of ids, none of them null."""
        known, size = self.codes, len(self.codes)
        table = np.empty(len(ids.dictionary), dtype=np.int32)
        for place, name in enumerate(ids.dictionary.to_pylist()):
            code = known.setdefault(name, size)
            size += code == size
            table[place] = code
        self.parts.append(table[ids.indices.to_numpy(zero_copy_only=False)])

    def finish(self) -> tuple[list[str], Codes]:
        """All ids, and the code of each row."""
        rows = np.concatenate(self.parts) if self.parts else np.zeros(0, dtype=np.int32)
        self.parts.clear()
        return list(self.codes), rows
