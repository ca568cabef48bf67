"""A run's whole record in memory: events as they are, requests and read-back as columns.

Columns, because three million requests must be judged within seconds and within a gigabyte. Text that repeats is
held as codes (``Coded``), ids stay in Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drills.recording.merging import ITEMS, SCHEMA
from drills.recording.record import Event, ReadBack, Request, read_events

Ints = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]
Chosen = slice | Flags | npt.NDArray[np.integer[Any]]
"""Which rows: a range of them, one flag a row, or their places."""

NONE = -1
"""Stands for an absent value in columns of codes and of small numbers."""


@dataclass(frozen=True, eq=False)
class Coded:
    """A column of text [n]: ``names[code]``, or NONE."""

    codes: Ints
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Chosen) -> Coded:
        return Coded(self.codes[rows], self.names)

    @property
    def known(self) -> Flags:
        """Where there is a value. [n]"""
        return np.asarray(self.codes != NONE)

    def equals(self, *names: str) -> Flags:
        """Where the value is one of ``names``. [n]"""
        wanted = np.array([name in names for name in (*self.names, None)])  # the last one is what NONE finds
        return np.asarray(wanted[self.codes])

    def value(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code == NONE else self.names[code]

    def counts(self) -> dict[str, int]:
        """How often each value occurs, by value in alphabetic order; absent ones are not counted."""
        numbers = np.bincount(self.codes[self.known], minlength=len(self.names))
        return dict(sorted((name, int(n)) for name, n in zip(self.names, numbers, strict=True) if n))


@dataclass(frozen=True, eq=False)
class Requests:
    """The requests of a run as columns of one length [n]; times in ns, absent numbers are NONE.

    ``degraded`` is 1, 0 or NONE. Iterating gives ``drills.recording.record.Request`` rows.
    """

    trial: Ints
    t_scheduled: Ints
    t_sent: Ints
    t_done: Ints
    status: Ints
    degraded: Ints
    hits: Ints
    expected: Ints
    stream: Coded
    op: Coded
    error: Coded
    region: Coded
    node: Coded
    model_version: Coded
    ids: pa.ChunkedArray
    items: pa.ChunkedArray

    @classmethod
    def of(cls, rows: Iterable[Request]) -> Requests:
        """The columns of these rows, in their order."""
        listed = list(rows)
        columns = {name: [getattr(row, name) for row in listed] for name in SCHEMA.names}
        return cls.from_table(pa.table(columns, schema=SCHEMA))

    @classmethod
    def from_table(cls, table: pa.Table) -> Requests:
        """The columns of a table with the names of ``merging.SCHEMA``; one it lacks counts as absent."""
        columns: dict[str, Any] = {
            name: _numbers(table, name, dtype)
            for name, dtype in (
                ("trial", np.int32),
                ("t_scheduled", np.int64),
                ("t_sent", np.int64),
                ("t_done", np.int64),
                ("status", np.int16),
                ("degraded", np.int8),
                ("hits", np.int32),
                ("expected", np.int32),
            )
        }
        columns |= {name: _coded(table, name) for name in _TEXTS}
        return cls(**columns, ids=_arrow(table, "id", pa.string()), items=_arrow(table, "items", ITEMS))

    def __len__(self) -> int:
        return len(self.t_scheduled)

    @property
    def ok(self) -> Flags:
        """Answered with a 2xx, and nothing was wrong with the answer. [n]"""
        return (self.status >= 200) & (self.status < 300) & ~self.error.known

    @property
    def sent(self) -> Flags:
        """False for what the prober itself could not send: that says nothing about the service. [n]"""
        return ~self.error.equals("not_sent")

    def where(self, rows: Chosen) -> Requests:
        """These rows only; a slice copies nothing."""
        picked = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, column in picked.items():
            picked[name] = _pick(column, rows) if isinstance(column, pa.ChunkedArray) else column[rows]
        return Requests(**picked)

    def of_trial(self, trial: int) -> Requests:
        """The requests of one trial; in a recorded run they stand together, so that nothing is copied."""
        return self.where(_rows_of(self.trial, trial))

    def __iter__(self) -> Iterator[Request]:
        return map(self.row, range(len(self)))

    def row(self, place: int) -> Request:
        texts: dict[str, Any] = {name: getattr(self, name).value(place) for name in _TEXTS}
        degraded = int(self.degraded[place])
        return Request(
            **texts,
            trial=int(self.trial[place]),
            t_scheduled=int(self.t_scheduled[place]),
            t_sent=int(self.t_sent[place]),
            t_done=int(self.t_done[place]),
            id=self.ids[place].as_py(),
            status=int(self.status[place]),
            degraded=None if degraded == NONE else bool(degraded),
            hits=_number(self.hits[place]),
            expected=_number(self.expected[place]),
            items=self.items[place].as_py(),
        )


_TEXTS = ("stream", "op", "error", "region", "node", "model_version")


@dataclass(frozen=True, eq=False)
class ReadBacks:
    """What was read back, as columns of one length [n]; ``t_seen`` in ns, NONE where it was not noted."""

    trial: Ints
    count: Ints
    t_seen: Ints
    region: Coded
    ids: pa.ChunkedArray

    @classmethod
    def of(cls, rows: Iterable[ReadBack]) -> ReadBacks:
        listed = list(rows)
        return cls.from_table(pa.table({name: [getattr(row, name) for row in listed] for name in _READBACK}))

    @classmethod
    def from_table(cls, table: pa.Table) -> ReadBacks:
        """The columns of ``readback.parquet``; one of an older version lacks ``t_seen``."""
        return cls(
            trial=_numbers(table, "trial", np.int32),
            count=_numbers(table, "count", np.int32),
            t_seen=_numbers(table, "t_seen", np.int64),
            region=_coded(table, "region"),
            ids=_arrow(table, "id", pa.string()),
        )

    def __len__(self) -> int:
        return len(self.trial)

    def where(self, rows: Chosen) -> ReadBacks:
        return ReadBacks(
            self.trial[rows], self.count[rows], self.t_seen[rows], self.region[rows], _pick(self.ids, rows)
        )

    def of_trial(self, trial: int) -> ReadBacks:
        return self.where(_rows_of(self.trial, trial))

    def __iter__(self) -> Iterator[ReadBack]:
        for place, id_ in enumerate(self.ids):
            yield ReadBack(
                trial=int(self.trial[place]),
                region=self.region.value(place) or "",
                id=id_.as_py(),
                count=int(self.count[place]),
                t_seen=_number(self.t_seen[place]),
            )


_READBACK = ("trial", "region", "id", "count", "t_seen")


class Timeline:
    """All that was recorded of a run, or of one of its trials.

    ``memo`` holds what measures derived from this timeline once and need again; nothing else changes.
    """

    def __init__(
        self,
        *,
        events: list[Event],
        requests: Requests | Iterable[Request] = (),
        readback: ReadBacks | Iterable[ReadBack] = (),
    ) -> None:
        self.events = events
        self.requests = requests if isinstance(requests, Requests) else Requests.of(requests)
        self.readback = readback if isinstance(readback, ReadBacks) else ReadBacks.of(readback)
        self.memo: dict[Any, Any] = {}

    def of_trial(self, trial: int) -> Timeline:
        """The part of one trial, with the run-wide events kept."""
        return Timeline(
            events=[e for e in self.events if e.trial in (None, trial)],
            requests=self.requests.of_trial(trial),
            readback=self.readback.of_trial(trial),
        )


def read(run_dir: Path) -> Timeline:
    """Read the whole timeline of a run directory; a table that is missing counts as empty."""
    return Timeline(
        events=read_events(run_dir / "events.jsonl"),
        requests=read_requests(run_dir / "requests.parquet"),
        readback=_read_readback(run_dir / "readback.parquet"),
    )


def read_requests(path: Path) -> Requests:
    """The requests of ``requests.parquet`` in order of ``t_scheduled``; none where the file is missing."""
    if not path.exists():
        return Requests.of(())
    return Requests.from_table(pq.read_table(path, read_dictionary=list(_TEXTS)))


def _read_readback(path: Path) -> ReadBacks:
    if not path.exists():
        return ReadBacks.of(())
    return ReadBacks.from_table(pq.read_table(path, read_dictionary=["region"]))


def _rows_of(column: Ints, trial: int) -> Chosen:
    """The rows of ``trial``: as a slice where they stand together."""
    flags = column == trial
    count = int(np.count_nonzero(flags))
    first = int(np.argmax(flags)) if count else 0
    together = slice(first, first + count)
    return together if flags[together].all() else flags


def _pick(column: pa.ChunkedArray, rows: Chosen) -> pa.ChunkedArray:
    if isinstance(rows, slice):
        begin, end, _ = rows.indices(len(column))
        return column.slice(begin, max(0, end - begin))
    return column.filter(pa.array(rows)) if rows.dtype == np.bool_ else column.take(pa.array(rows))


def _numbers(table: pa.Table, name: str, dtype: Any) -> Ints:
    if name not in table.column_names:
        return np.full(len(table), NONE, dtype)
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    kind = pa.from_numpy_dtype(np.dtype(dtype))
    return np.asarray(pc.fill_null(column.cast(kind), pa.scalar(NONE, kind)).to_numpy(), dtype)


def _coded(table: pa.Table, name: str) -> Coded:
    if name not in table.column_names:
        return Coded(np.full(len(table), NONE, np.int16), ())
    column = table[name]
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    column = column.unify_dictionaries()
    names = tuple(column.chunk(0).dictionary.to_pylist()) if column.num_chunks else ()
    dtype: Any = np.int16 if len(names) < 2**15 else np.int32
    codes = [pc.fill_null(chunk.indices, NONE).to_numpy(zero_copy_only=False).astype(dtype) for chunk in column.chunks]
    return Coded(np.concatenate([np.empty(0, dtype), *codes]), names)


def _arrow(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(len(table), kind)])
    column = table[name]
    return column if column.type == kind else column.cast(kind)


def _number(value: Any) -> int | None:
    return None if value == NONE else int(value)
