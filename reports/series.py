"""What a chart draws of the recorded requests: per-bin figures that keep every spike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports import cleaning
from reports.columns import NS, Floats, Ints, Requests

_POINTS = 600
"""Points a line may have; more are not visible at 1,100 pixels."""
_FINE_BINS = 40_000
_LONGEST_S = 1e8
"""Bounds on memory: a damaged clock must not ask for a billion bins."""
_RECALL_WINDOW_S = 2.0


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
        value=ratio(_window(asked.hits[order], low, high), expected),
        same_users=ratio(_window(base[order], low, high), expected) if paired else None,
        asked=np.asarray(high - low, dtype=np.int64),
    )


def _window(values: Floats, low: Ints, high: Ints) -> Floats:
    total = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray(total[high] - total[low])


def ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))
