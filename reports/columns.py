"""The recorded requests as columns.

Columns instead of ``drills.recording.record.Request`` objects, because a million requests must be read in a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reports import cleaning

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NS = 1_000_000_000
NOBODY = -1
"""Region code of a request that no region answered."""

_COLUMNS = (
    "trial",
    "t_scheduled",
    "t_done",
    "stream",
    "op",
    "id",
    "status",
    "error",
    "region",
    "hits",
    "expected",
    "model_version",
    "degraded",
)


@dataclass(frozen=True)
class Requests:
    """Columns of one length [n]; ``due`` and ``done`` in ns.

    ``region`` indexes ``regions`` and ``model`` ``models``; NOBODY where there was none.
    """

    trial: Ints
    due: Ints
    done: Ints
    ok: Flags
    sent: Flags
    write: Flags
    quality: Flags
    region: Ints
    hits: Floats
    expected: Floats
    ids: pa.ChunkedArray
    regions: tuple[str, ...]
    model: Ints
    degraded: Flags
    models: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.due)

    @property
    def failed(self) -> Flags:
        """Sent and not answered well; what recdr itself never sent says nothing about the service. [n]"""
        return self.sent & ~self.ok

    def of_trial(self, trial: int) -> Requests:
        return self.where(self.trial == trial)

    def where(self, keep: Flags) -> Requests:
        return Requests(
            trial=self.trial[keep],
            due=self.due[keep],
            done=self.done[keep],
            ok=self.ok[keep],
            sent=self.sent[keep],
            write=self.write[keep],
            quality=self.quality[keep],
            region=self.region[keep],
            hits=self.hits[keep],
            expected=self.expected[keep],
            ids=self.ids.filter(pa.array(keep)),
            regions=self.regions,
            model=self.model[keep],
            degraded=self.degraded[keep],
            models=self.models,
        )


def read(path: Path) -> Requests:
    """Read ``requests.parquet``. Raises OSError or pyarrow.ArrowException where it is missing or damaged."""
    return of_table(pq.read_table(path, columns=list(_COLUMNS)))


def of_table(table: pa.Table) -> Requests:
    """The requests of a table with the columns of ``drills.recording.merging.SCHEMA``; raises as ``read``."""
    if lacking := set(_COLUMNS) - set(table.column_names):
        raise pa.ArrowInvalid(f"it has no column {', '.join(sorted(lacking))}")
    codes, regions = _codes(table["region"])
    model, models = _codes(table["model_version"])
    return Requests(
        trial=_ints(table["trial"]),
        due=_ints(table["t_scheduled"]),
        done=_ints(table["t_done"]),
        ok=(_ints(table["status"]) >= 200) & (_ints(table["status"]) < 300) & _absent(table["error"]),
        sent=~_equal(table["error"], "not_sent"),
        write=_equal(table["op"], "event"),
        quality=_equal(table["stream"], "quality"),
        region=codes,
        hits=_floats(table["hits"]),
        expected=_floats(table["expected"]),
        ids=table["id"],
        regions=regions,
        model=model,
        degraded=_equal(table["degraded"], True),
        models=models,
    )


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(column.cast(pa.int64()), 0), dtype=np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64()), dtype=np.float64)


def _equal(column: pa.ChunkedArray, value: str | bool) -> Flags:
    return np.asarray(pc.fill_null(pc.equal(column, value), False), dtype=np.bool_)


def _absent(column: pa.ChunkedArray) -> Flags:
    return np.asarray(pc.is_null(column), dtype=np.bool_)


def _codes(column: pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    """Codes of the names in a fixed order (primary, then by name): colours never swap between reports."""
    names = sorted(
        (name for name in pc.unique(column).to_pylist() if name is not None),
        key=lambda n: (n != "primary", n),
    )
    if not names:
        return np.full(len(column), NOBODY, dtype=np.int64), ()
    found = pc.index_in(column, value_set=pa.array(names))
    return np.asarray(pc.fill_null(found, NOBODY), dtype=np.int64), tuple(cleaning.text(name) for name in names)
