"""The slots of an open-loop probe stream: what was due, what came of it, and what nobody saw."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from drills.measures.model import Settings
from drills.measures.phases import SECOND, moments, span
from drills.record import Request, Timeline

PROBER_STREAMS = ("probe_read", "probe_write", "quality")
GOOD, SLOW, FAILED = 0, 1, 2


@dataclass(frozen=True)
class Slot:
    """One moment ``t`` (ns) at which a probe was due. No requests: nothing is known about it."""

    t: int
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Grid:
    """The schedule of one stream: a slot at ``anchor`` + n × ``interval`` (ns)."""

    anchor: int
    interval: int

    @property
    def interval_s(self) -> float:
        return self.interval / SECOND

    def index(self, t: int) -> int:
        """The slot nearest to ``t``."""
        return (2 * (t - self.anchor) + self.interval) // (2 * self.interval)


def grid(timeline: Timeline, stream: str) -> Grid | None:
    """The schedule of ``stream``, or None where none was announced and nothing was recorded.

    Its interval is what the prober announced (``prober.started``), else what the load was started with
    (``load.started``), else the median distance of the recorded probes.
    """
    times = sorted(r.t_scheduled for r in timeline.requests if r.stream == stream)
    announced = _announced(timeline, stream)
    if announced:
        return Grid(times[0] if times else announced[0], round(SECOND / announced[1]))
    gaps = [b - a for a, b in pairwise(times) if b > a]
    return Grid(times[0], median_low(gaps)) if gaps else None


def slots(timeline: Timeline, stream: str, schedule: Grid, since: int, until: int) -> list[Slot]:
    """Every slot of ``stream`` due from ``since`` up to ``until`` (ns), with the requests recorded for it."""
    first = -((schedule.anchor - since) // schedule.interval)
    last = (until - schedule.anchor) // schedule.interval
    found: dict[int, list[Request]] = defaultdict(list)
    for request in timeline.requests:
        if request.stream == stream and since <= request.t_scheduled <= until:
            found[min(max(schedule.index(request.t_scheduled), first), last)].append(request)
    return [Slot(schedule.anchor + n * schedule.interval, tuple(found.get(n, ()))) for n in range(first, last + 1)]


class Stalls:
    """When the prober itself was held up: from when a probe was due until it was sent, far too late."""

    def __init__(self, timeline: Timeline, settings: Settings) -> None:
        bound = settings.lateness_bound_s * SECOND
        late = sorted(
            (r.t_scheduled, r.t_sent)
            for r in timeline.requests
            if r.stream in PROBER_STREAMS and r.t_sent - r.t_scheduled > bound
        )
        self.spans: list[tuple[int, int]] = []
        for begin, end in late:
            if self.spans and begin <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(end, self.spans[-1][1]))
            else:
                self.spans.append((begin, end))
        self._ends = [end for _, end in self.spans]

    def within(self, begin: int, end: int) -> int:
        """How long (ns) the prober was held up between ``begin`` and ``end``."""
        total = 0
        for position in range(bisect_left(self._ends, begin), len(self.spans)):
            stall_begin, stall_end = self.spans[position]
            if stall_begin >= end:
                break
            total += max(0, min(end, stall_end) - max(begin, stall_begin))
        return total


def latency_s(request: Request) -> float:
    """Seconds from the moment the request was due to the end of its answer."""
    return (request.t_done - request.t_scheduled) / SECOND


def severity(slot: Slot, stalls: Stalls, settings: Settings) -> tuple[int, int]:
    """How badly the slot's probe fared: the best and the worst reading that fit the record.

    They differ where nothing was recorded or where the prober's own delay explains the failure.
    """
    if not slot.requests:
        return GOOD, FAILED
    readings = [_severity(request, stalls, settings) for request in slot.requests]
    return max(best for best, _ in readings), max(worst for _, worst in readings)


def _severity(request: Request, stalls: Stalls, settings: Settings) -> tuple[int, int]:
    if request.error == "not_sent":
        return GOOD, FAILED
    stalled = stalls.within(request.t_scheduled, request.t_done) / SECOND
    own = _by_latency(latency_s(request) - stalled, settings)
    if request.ok:
        return own, _by_latency(latency_s(request), settings)
    return (own if request.error == "timeout" and stalled else FAILED), FAILED


def _by_latency(latency: float, settings: Settings) -> int:
    if latency > settings.latency_bound_s:
        return FAILED
    return SLOW if latency > settings.prompt_s else GOOD


def unobserved(timeline: Timeline, stream: str, phase: str, settings: Settings) -> int:
    """How many of a stream's slots in ``phase`` nobody saw the fate of, but for the trial's last moments."""
    at = moments(timeline)
    schedule, due = grid(timeline, stream), span(phase, at)
    if schedule is None or due is None:
        return 0
    since = max(due[0], schedule.anchor) if phase == "before" else due[0]
    until = min(due[1], (at.end or due[1]) - round(settings.settle_s * SECOND))
    return sum(
        not any(r.error != "not_sent" for r in slot.requests)
        for slot in slots(timeline, stream, schedule, since, until)
    )


def _announced(timeline: Timeline, stream: str) -> tuple[int, float] | None:
    """When and at which rate (requests a second) the stream was announced to start."""
    for kind in ("prober.started", "load.started"):
        for event in timeline.events:
            rates = event.data.get("rates") if event.kind == kind and event.trial is not None else None
            rate = rates.get(stream) if isinstance(rates, dict) else None
            if isinstance(rate, int | float) and math.isfinite(rate) and rate > 0:
                return event.t, float(rate)
    return None
