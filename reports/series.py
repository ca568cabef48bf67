"""The recorded requests as columns, and what a chart draws of them: per-bin figures that keep every spike.

Columns instead of ``drills.recording.record.Request`` objects, because a million requests must be read in a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
_POINTS = 600
"""Points a line may have; more are not visible at 1,100 pixels."""
_FINE_BINS = 40_000
_LONGEST_S = 1e8
"""Bounds on memory: a damaged clock must not ask for a billion bins."""
_RECALL_WINDOW_S = 2.0


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


@dataclass(frozen=True)
class Bins:
    """Fine bins of ``fine_s`` from ``start`` (ns), shown ``group`` at a time; ``zero`` is the axis's 0."""

    start: int
    zero: int
    fine_s: float
    group: int
    shown: int

    @property
    def shown_s(self) -> float:
        return self.fine_s * self.group

    @property
    def fine(self) -> int:
        return self.shown * self.group

    @property
    def left_s(self) -> Floats:
        """Left edges of the shown bins, in seconds since ``zero``. [shown]"""
        return np.asarray((self.start - self.zero) / NS + np.arange(self.shown) * self.shown_s)

    def of(self, times: Ints) -> Ints:
        """The fine bin of each time; outside ones land in the nearest bin, so none is dropped."""
        index = ((times - self.start) / (self.fine_s * NS)).astype(np.int64)
        return np.clip(index, 0, self.fine - 1)

    def at_least(self, seconds: float) -> Bins:
        """The same time in points of ``seconds`` or more."""
        group = self.group * max(1, round(seconds / self.shown_s))
        return _aligned(self.start, self.start + int(self.fine * self.fine_s * NS), self.zero, self.fine_s, group)

    def counts(self, times: Ints) -> Floats:
        return np.bincount(self.of(times), minlength=self.fine).astype(np.float64)

    def highest(self, fine: Floats) -> Floats:
        """The highest fine value of each shown bin: spikes stay. NaN only where all are NaN. [shown]"""
        grid = fine.reshape(self.shown, self.group)
        highest = np.where(np.isnan(grid), -np.inf, grid).max(axis=1)
        return np.where(np.isinf(highest), np.nan, highest)

    def mean(self, fine: Floats) -> Floats:
        return np.asarray(fine.reshape(self.shown, self.group).mean(axis=1))


def bins(start: int, end: int, zero: int) -> Bins:
    """Bins over [start, end] ns: 0.1 s fine up to a minute, 0.25 s up to 3 h; 600 points at most."""
    seconds = min(max((end - start) / NS, 0.1), _LONGEST_S)
    fine_s = 0.1 if seconds <= 60 else max(0.25, seconds / _FINE_BINS)
    group = math.ceil(math.ceil(seconds / fine_s) / _POINTS)
    return _aligned(start, start + int(seconds * NS), zero, fine_s, group)


def _aligned(start: int, end: int, zero: int, fine_s: float, group: int) -> Bins:
    """Bins of which one begins at ``zero``: none holds what was before the fault and what was after it."""
    step = round(fine_s * group * NS)
    first = zero - math.ceil((zero - start) / step) * step
    return Bins(start=first, zero=zero, fine_s=fine_s, group=group, shown=math.ceil((end - first) / step))


def answered(requests: Requests, grid: Bins) -> dict[str, Floats]:
    """Successful answers a second by the region that gave them, by the moment they arrived. [shown] each"""
    good = requests.where(requests.ok)
    return {
        name: grid.mean(grid.counts(good.done[good.region == code])) / grid.fine_s
        for code, name in enumerate(requests.regions)
    }


def failed(requests: Requests, grid: Bins) -> dict[str, Floats]:
    """Failed reads and writes in the worst fine bin of each shown one, by when they were due. [shown] each"""
    bad = requests.where(requests.failed)
    return {
        "reads": grid.highest(grid.counts(bad.due[~bad.write])),
        "writes": grid.highest(grid.counts(bad.due[bad.write])),
    }


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the moment each answer was due, NaN where there was none. [shown] each

    ``p50`` is taken over the whole shown bin, ``p99`` is the highest of its fine bins' own. ``slowest`` is the slowest
    single answer of a shown bin where it took more than twice its p99, and NaN elsewhere.
    """

    p50: Floats
    p99: Floats
    slowest: Floats


def latency_ms(requests: Requests, grid: Bins) -> dict[str, Latency]:
    """How long successful answers took, by the region that gave them."""
    out: dict[str, Latency] = {}
    for code, name in enumerate(requests.regions):
        own = requests.ok & (requests.region == code)
        due = requests.due[own]
        took, fine = (requests.done[own] - due) / 1e6, grid.of(due)
        p99 = grid.highest(quantile(fine, took, 0.99, grid.fine))
        p50, slowest = quantiles(fine // grid.group, took, (0.5, 1.0), grid.shown)
        slowest[~(slowest > 2 * p99)] = np.nan
        out[name] = Latency(p50, p99, slowest)
    return out


def quantile(group: Ints, values: Floats, q: float, groups: int) -> Floats:
    """The nearest-rank ``q`` quantile of each group's values; NaN for an empty group. [groups]"""
    return quantiles(group, values, (q,), groups)[0]


def quantiles(group: Ints, values: Floats, qs: Sequence[float], groups: int) -> list[Floats]:
    """The same for several quantiles, sorted once."""
    ordered = values[_by_group_then_value(group, values, groups)]
    size = np.bincount(group, minlength=groups)
    first, full = np.cumsum(size) - size, size > 0
    found = []
    for q in qs:
        rank = np.maximum(np.ceil(q * size).astype(np.int64) - 1, 0)
        out = np.full(groups, np.nan)
        out[full] = ordered[(first + rank)[full]]
        found.append(out)
    return found


def _by_group_then_value(group: Ints, values: Floats, groups: int) -> Ints:
    """What ``np.lexsort`` gives, in a third of the time: a stable sort of 16 bits is a radix sort."""
    by_value = np.argsort(values)
    small = group[by_value].astype(np.uint16 if groups <= 2**16 else np.int64)
    return np.asarray(by_value[np.argsort(small, kind="stable")])


@dataclass(frozen=True)
class Recall:
    """Recall over the last ``window_s`` seconds at ``t_s``; ``same_users`` is the baseline's, or None."""

    t_s: Floats
    value: Floats
    same_users: Floats | None
    asked: Ints
    window_s: float = _RECALL_WINDOW_S


def recall(requests: Requests, grid: Bins, baseline_hits: dict[str, Any]) -> Recall:
    """Rolling recall of the quality probes that were answered: hits over expected, a trailing window.

    Against it stands what the very same users got in the baseline: who is asked changes with time, and that
    alone moves recall by more than a failover may.
    """
    asked = requests.where(requests.quality & requests.ok & ~np.isnan(requests.hits) & (requests.expected > 0))
    base = np.array([cleaning.number(baseline_hits.get(i or "")) for i in asked.ids.to_pylist()], dtype=np.float64)
    ends = np.asarray(grid.left_s + grid.shown_s)
    due_s = (asked.due - grid.zero) / NS
    order = np.argsort(due_s, kind="stable")
    due_s = due_s[order]
    low = np.searchsorted(due_s, ends - _RECALL_WINDOW_S)
    high = np.searchsorted(due_s, ends)
    expected = _window(asked.expected[order], low, high)
    # A window that is not half full (the start, an outage) would only show chance.
    expected[(high - low) * 2 < (high - low).max(initial=0)] = 0
    paired = len(base) > 0 and not np.isnan(base).any()
    return Recall(
        t_s=ends,
        value=_ratio(_window(asked.hits[order], low, high), expected),
        same_users=_ratio(_window(base[order], low, high), expected) if paired else None,
        asked=np.asarray(high - low, dtype=np.int64),
    )


def _window(values: Floats, low: Ints, high: Ints) -> Floats:
    total = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray(total[high] - total[low])


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


@dataclass(frozen=True)
class Second:
    """One row of the data table beside the charts; None where there was nothing to measure."""

    t_s: float
    answered: tuple[int, ...]
    failed_reads: int
    failed_writes: int
    p50_ms: float | None
    p99_ms: float | None
    recall: float | None


def table(requests: Requests, start: int, end: int, zero: int, rows: int = 180) -> tuple[int, list[Second]]:
    """How many whole seconds a row has (1, or more for a long trial), and the charts' figures as rows.

    Row edges are whole seconds since ``zero``, so that the first row of the fault starts at 0.
    """
    step = max(1, math.ceil((end - start) / NS / rows))
    first = math.floor((start - zero) / NS / step)
    count = max(1, math.ceil((end - zero) / NS / step) - first)
    row = np.clip((requests.due - zero) // (step * NS) - first, 0, count - 1)
    took = (requests.done - requests.due) / 1e6
    ok, bad = requests.ok, requests.failed
    probes = requests.quality & ok & ~np.isnan(requests.hits) & (requests.expected > 0)

    def tally(keep: Flags, weights: Floats | None = None) -> Floats:
        chosen = None if weights is None else weights[keep]
        return np.bincount(row[keep], weights=chosen, minlength=count).astype(np.float64)

    by_region = [tally(ok & (requests.region == code)) for code in range(len(requests.regions))]
    reads, writes = tally(bad & ~requests.write), tally(bad & requests.write)
    p50, p99 = quantiles(row[ok], took[ok], (0.5, 0.99), count)
    quality = _ratio(tally(probes, requests.hits), tally(probes, requests.expected))
    return step, [
        Second(
            t_s=float((first + i) * step),
            answered=tuple(int(column[i]) for column in by_region),
            failed_reads=int(reads[i]),
            failed_writes=int(writes[i]),
            p50_ms=cleaning.number(float(p50[i])),
            p99_ms=cleaning.number(float(p99[i])),
            recall=cleaning.number(float(quality[i])),
        )
        for i in range(count)
    ]
