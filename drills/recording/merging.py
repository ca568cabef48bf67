"""From the clients' files to one table: merged by time, column by column, a slice of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from drills.recording.frames import KIND_FIELDS, Frame, Kind
from drills.recording.tables import SCHEMA_VERSION

Ints = npt.NDArray[np.int64]

GROUP_ROWS = 2**18
"""Rows of one Parquet row group: what is put together at a time."""
ITEMS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("trial", pa.int32()),
        ("t_scheduled", pa.int64()),
        ("t_sent", pa.int64()),
        ("t_done", pa.int64()),
        ("stream", pa.string()),
        ("op", pa.string()),
        ("id", pa.string()),
        ("status", pa.int16()),
        ("error", pa.string()),
        ("region", pa.string()),
        ("node", pa.string()),
        ("model_version", pa.string()),
        ("degraded", pa.bool_()),
        ("hits", pa.int32()),
        ("expected", pa.int32()),
        ("items", ITEMS),
    ],
    metadata={"recdr_schema": str(SCHEMA_VERSION)},
)
_TIMES = ("t_scheduled", "t_sent", "t_done")
_PLAIN = (*_TIMES, "id")
"""Columns in which hardly a value comes twice."""


def merge(path: Path, parts: Iterable[Iterator[Frame]]) -> None:
    """Write the requests of all ``parts`` as Parquet in order of ``t_scheduled``, atomically.

    Requests that were due at the same moment keep the order of their files. Takes some 100 bytes of memory a request.
    """
    columns = _Columns()
    for frames in parts:
        for frame in frames:
            columns.add(frame)
    partial = path.with_suffix(".partial")
    encodings = dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED")
    dictionaries = [name for name in SCHEMA.names if name not in (*_PLAIN, "items")]
    with pq.ParquetWriter(
        partial, SCHEMA, compression="zstd", use_dictionary=dictionaries, column_encoding=encodings
    ) as writer:
        for table in columns.sorted_tables():
            writer.write_table(table)
    partial.replace(path)


def table(parts: Iterable[Iterator[Frame]]) -> pa.Table:
    """What ``merge`` would write, in memory."""
    columns = _Columns()
    for frames in parts:
        for frame in frames:
            columns.add(frame)
    return pa.concat_tables([SCHEMA.empty_table(), *columns.sorted_tables()])


class _Columns:
    """The requests of all frames so far; what many have in common is kept once, as a kind."""

    def __init__(self) -> None:
        self.kinds: dict[Kind, int] = {}
        self.kind: list[npt.NDArray[np.int32]] = []
        self.times: dict[str, list[Ints]] = {name: [] for name in _TIMES}
        self.ids: list[pa.Array] = []
        self.items: list[pa.Array] = []

    def add(self, frame: Frame) -> None:
        codes = np.array([self.kinds.setdefault(kind, len(self.kinds)) for kind in frame.kinds], dtype=np.int32)
        self.kind.append(codes[_column("<u2", frame.kind)])
        scheduled = np.cumsum(_column("<i8", frame.scheduled))
        sent = scheduled + _column("<i8", frame.late)
        for name, times in zip(_TIMES, (scheduled, sent, sent + _column("<i8", frame.took)), strict=True):
            self.times[name].append(times)
        self.ids.append(pa.array(frame.ids, pa.string()))
        listed = _column("<u2", frame.listed).astype(np.int64) - 1
        self.items.append(pa.array(frame.lists, ITEMS).take(pa.array(listed, mask=listed < 0)))

    def sorted_tables(self) -> Iterator[pa.Table]:
        """All rows in order of time, some at a time."""
        kind = np.concatenate([np.empty(0, np.int32), *self.kind])
        times = {name: np.concatenate([np.empty(0, np.int64), *parts]) for name, parts in self.times.items()}
        ids, items = pa.chunked_array(self.ids, pa.string()), pa.chunked_array(self.items, ITEMS)
        self.kind, self.times, self.ids, self.items = [], {}, [], []
        ids, items = ids.combine_chunks(), items.combine_chunks()
        common = {
            name: pa.array([known[place] for known in self.kinds], SCHEMA.field(name).type)
            for place, name in enumerate(KIND_FIELDS)
        }
        order = np.argsort(times["t_scheduled"], kind="stable")
        for begin in range(0, len(order), GROUP_ROWS):
            rows = order[begin : begin + GROUP_ROWS]
            codes = pa.array(kind[rows])
            columns: dict[str, Any] = {name: values.take(codes) for name, values in common.items()}
            columns |= {name: pa.array(values[rows]) for name, values in times.items()}
            columns |= {"id": ids.take(pa.array(rows)), "items": items.take(pa.array(rows))}
            yield pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _column(kind: str, column: bytes) -> npt.NDArray[Any]:
    """The numbers of a transposed column (``drills.recording.frames.transposed``)."""
    width = np.dtype(kind).itemsize
    return np.ascontiguousarray(np.frombuffer(column, np.uint8).reshape(width, -1).T).view(kind)[:, 0]
