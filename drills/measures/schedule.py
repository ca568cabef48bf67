"""The slots of an open-loop probe stream: what was due, what came of it, and what nobody saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drills.measures.memo import remembered
from drills.measures.model import Settings
from drills.measures.phases import SECOND, moments, span, stream_of
from drills.recording.timeline import Flags, Ints, Requests, Timeline

PROBER_STREAMS = ("probe_read", "probe_write", "quality")
GOOD, SLOW, FAILED = 0, 1, 2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The schedule of one stream: a slot at ``anchor`` + n × ``interval`` (ns)."""

    anchor: int
    interval: int

    @property
    def interval_s(self) -> float:
        return self.interval / SECOND

    def index(self, t: Ints) -> Ints:
        """The slots nearest to ``t``."""
        return (2 * (t - self.anchor) + self.interval) // (2 * self.interval)


@dataclass(frozen=True, eq=False)
class Slots:
    """The moments ``t`` (ns) at which probes were due [m], and the requests recorded for them [r].

    ``slot`` says to which moment each request belongs; about one that has none nothing is known.
    """

    t: Ints
    requests: Requests
    slot: Ints

    def __len__(self) -> int:
        return len(self.t)

    def any(self, flags: Flags) -> Flags:
        """Whether one of the slot's requests has its flag set. [m]"""
        return np.bincount(self.slot[flags], minlength=len(self)) > 0

    def most(self, values: npt.NDArray[Any], empty: npt.NDArray[Any] | int) -> npt.NDArray[Any]:
        """The greatest value of each slot's requests, ``empty`` where there is none. [m]"""
        found = np.full(len(self), np.iinfo(np.int64).min)
        np.maximum.at(found, self.slot, values)
        return np.where(np.bincount(self.slot, minlength=len(self)) > 0, found, empty)

    def where(self, keep: Flags) -> Slots:
        """Some of the slots, with their requests."""
        place, kept = np.cumsum(keep) - 1, keep[self.slot]
        return Slots(self.t[keep], self.requests.where(kept), place[self.slot[kept]])

    @property
    def known(self) -> Flags:
        """Whether anybody saw what came of the probe. [m]"""
        return self.any(self.requests.sent)

    @property
    def answered_at(self) -> Ints:
        """When the first answer had come (ns); a slot without a record is hoped to have been answered at once. [m]"""
        return -self.most(-self.requests.t_done, -self.t)

    def recovered_at(self, schedule: Grid) -> Ints:
        """When the service was back by each probe (ns): when it was due if answered before the next was. [m]

        Else when it was answered: a probe that a dark server holds and answers at its return was due long before.
        """
        answered = self.answered_at
        return np.where(answered - self.t <= schedule.interval, self.t, answered)


@remembered
def grid(timeline: Timeline, stream: str) -> Grid | None:
    """The schedule of ``stream``, or None where none was announced and nothing was recorded.

    Its interval is what the prober announced (``prober.started``), else what the load was started with
    (``load.started``), else the median distance of the recorded probes.
    """
    times = np.sort(stream_of(timeline, stream).t_scheduled)
    announced = _announced(timeline, stream)
    if announced:
        return Grid(int(times[0]) if len(times) else announced[0], round(SECOND / announced[1]))
    gaps = np.sort(np.diff(times))
    gaps = gaps[gaps > 0]
    return Grid(int(times[0]), int(gaps[(len(gaps) - 1) // 2])) if len(gaps) else None


def slots(timeline: Timeline, stream: str, schedule: Grid, since: int, until: int) -> Slots:
    """Every slot of ``stream`` due from ``since`` up to ``until`` (ns), with the requests recorded for it."""
    first = -((schedule.anchor - since) // schedule.interval)
    last = (until - schedule.anchor) // schedule.interval
    due = schedule.anchor + np.arange(first, last + 1, dtype=np.int64) * schedule.interval
    requests = stream_of(timeline, stream)
    if not len(due):
        return Slots(due, requests.where(slice(0, 0)), np.empty(0, np.int64))
    requests = requests.where((requests.t_scheduled >= since) & (requests.t_scheduled <= until))
    return Slots(due, requests, np.clip(schedule.index(requests.t_scheduled), first, last) - first)


class Stalls:
    """When the prober itself was held up: from when a probe was due until it was sent, far too late."""

    def __init__(self, timeline: Timeline, settings: Settings) -> None:
        begins, ends = [], []
        for stream in PROBER_STREAMS:
            probes = stream_of(timeline, stream)
            late = probes.t_sent - probes.t_scheduled > settings.lateness_bound_s * SECOND
            begins.append(probes.t_scheduled[late])
            ends.append(probes.t_sent[late])
        begin, end = np.concatenate(begins), np.concatenate(ends)
        order = np.argsort(begin, kind="stable")
        begin, end = begin[order], np.maximum.accumulate(end[order])
        apart = np.append(True, begin[1:] > end[:-1]) if len(begin) else np.empty(0, np.bool_)
        first = np.flatnonzero(apart)
        self.begin: Ints = begin[first]
        self.end: Ints = end[np.append(first[1:] - 1, len(end) - 1)] if len(first) else end[:0]
        self._total = np.concatenate([[0], np.cumsum(self.end - self.begin)])

    def within(self, begin: Ints, end: Ints) -> Ints:
        """How long (ns) the prober was held up between each ``begin`` and ``end``."""
        if not len(self.begin):
            return np.zeros(len(begin), np.int64)
        return self._until(np.maximum(begin, end)) - self._until(begin)

    def _until(self, t: Ints) -> Ints:
        """How long it was held up before each ``t``."""
        place = np.searchsorted(self.begin, t, side="right") - 1
        inside = np.minimum(t, self.end[place]) - self.begin[place]
        return np.where(place < 0, 0, self._total[place] + inside)


@remembered
def stalls_of(timeline: Timeline, settings: Settings) -> Stalls:
    return Stalls(timeline, settings)


def latency_s(requests: Requests) -> Floats:
    """Seconds from the moment each request was due to the end of its answer. [n]"""
    return (requests.t_done - requests.t_scheduled) / SECOND


def stalled_s(requests: Requests, stalls: Stalls) -> Floats:
    """Seconds of each request's latency in which the prober itself was held up. [n]"""
    return stalls.within(requests.t_scheduled, requests.t_done) / SECOND


def readings(found: Slots, stalls: Stalls, settings: Settings) -> tuple[Ints, Ints]:
    """How badly each slot's probe fared: the best and the worst reading that fit the record. [m] each

    They differ where nothing was recorded or where the prober's own delay explains the failure.
    """
    requests = found.requests
    latency, stalled, sent = latency_s(requests), stalled_s(requests, stalls), requests.sent
    own = _by_latency(latency - stalled, settings)
    excused = requests.ok | (requests.error.equals("timeout") & (stalled > 0))
    best = np.where(sent, np.where(excused, own, FAILED), GOOD)
    worst = np.where(requests.ok & sent, _by_latency(latency, settings), FAILED)
    return found.most(best, GOOD), found.most(worst, FAILED)


def _by_latency(latency: Floats, settings: Settings) -> Ints:
    return np.where(latency > settings.latency_bound_s, FAILED, np.where(latency > settings.prompt_s, SLOW, GOOD))


@remembered
def unobserved(timeline: Timeline, stream: str, phase: str, settings: Settings) -> int:
    """How many of a stream's slots in ``phase`` nobody saw the fate of, but for the trial's last moments."""
    at = moments(timeline)
    schedule, due = grid(timeline, stream), span(phase, at)
    if schedule is None or due is None:
        return 0
    # A phase after the fault also has the probes that were under way when it struck.
    earlier = round(settings.in_flight_s * SECOND) if phase in ("during", "post_fault") else 0
    since = due[0] if phase == "after" else max(due[0] - earlier, schedule.anchor)
    until = min(due[1], (at.end or due[1]) - round(settings.settle_s * SECOND))
    return int(np.count_nonzero(~slots(timeline, stream, schedule, since, until).known))


def _announced(timeline: Timeline, stream: str) -> tuple[int, float] | None:
    """When and at which rate (requests a second) the stream was announced to start."""
    for kind in ("prober.started", "load.started"):
        for event in timeline.events:
            rates = event.data.get("rates") if event.kind == kind and event.trial is not None else None
            rate = rates.get(stream) if isinstance(rates, dict) else None
            if isinstance(rate, int | float) and math.isfinite(rate) and rate > 0:
                return event.t, float(rate)
    return None
