"""When what happened: the phases of a trial, and the milestones between fault and fail-back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from drills.measures.memo import remembered
from drills.recording.record import Event
from drills.recording.timeline import Flags, Ints, Requests, Timeline

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Moments:
    """The moments of one trial in ns; None where the timeline does not hold them.

    ``begin`` to ``injected``: the first fault was being injected (its effect may set in anywhere between);
    ``injected`` is its acknowledgement, where every RTO starts. ``healed``: the last heal was acknowledged.
    ``end``: the clients were told to stop.
    """

    start: int | None
    begin: int | None
    injected: int | None
    healed: int | None
    end: int | None


@remembered
def moments(timeline: Timeline) -> Moments:
    """Find the moments of the trial that ``timeline`` holds (``Timeline.of_trial``)."""
    events = [e for e in timeline.events if e.trial is not None]
    injected = _first(events, "fault.injected")
    start = _first(events, "trial.started")
    return Moments(
        start=start.t if start else _first_of(timeline.requests.t_scheduled),
        begin=int(injected.data.get("t_begin", injected.t)) if injected else None,
        injected=_acknowledged(injected) if injected else None,
        healed=_healed(events),
        end=_end(events, timeline.requests),
    )


@dataclass(frozen=True)
class Struck:
    """One injection: it began at ``begin`` and was acknowledged at ``injected`` (ns)."""

    begin: int
    injected: int


@remembered
def strikes(timeline: Timeline) -> tuple[Struck, ...]:
    """Every injection of the trial, in the order of their acknowledgements."""
    injected = (e for e in timeline.events if e.trial is not None and e.kind == "fault.injected")
    found = (Struck(int(e.data.get("t_begin", e.t)), _acknowledged(e)) for e in sorted(injected, key=lambda e: e.t))
    return tuple(sorted(found, key=lambda struck: struck.injected))


@remembered
def stream_of(timeline: Timeline, stream: str) -> Requests:
    """The requests of one stream."""
    return timeline.requests.where(timeline.requests.stream.equals(stream))


@remembered
def in_phase(timeline: Timeline, phase: str) -> Flags:
    """Which of the timeline's requests count to ``phase``; see ``of_phase``. [n]"""
    return of_phase(timeline.requests, phase, moments(timeline))


def of_phase(requests: Requests, phase: str, at: Moments) -> Flags:
    """Which ``requests`` count to ``phase``. [n]

    A request that was under way when the injection began belongs to ``during``: the fault may have hit it.
    """
    begin = np.iinfo(np.int64).max if at.begin is None else at.begin
    if phase == "before":
        return np.asarray(requests.t_done < begin)
    fault = requests.t_done >= begin
    if phase == "post_fault":
        return np.asarray(fault)
    healed = np.iinfo(np.int64).max if at.healed is None else at.healed
    return np.asarray(fault & ((requests.t_scheduled >= healed) == (phase == "after")))


def span(phase: str, at: Moments) -> tuple[int, int] | None:
    """The time (ns) from which and up to which ``phase`` lasted; None where the trial has no such phase."""
    if at.start is None or at.end is None:
        return None
    fault, healed = at.begin, at.healed
    if phase == "before":
        return at.start, at.end if fault is None else fault
    if fault is None or (phase == "after" and healed is None):
        return None
    begin = healed if phase == "after" and healed is not None else fault
    return begin, healed if phase == "during" and healed is not None else at.end


@remembered
def milestones(timeline: Timeline) -> dict[str, float | None]:
    """Seconds from the acknowledged injection to each milestone; None where it was not observed."""
    at = moments(timeline)
    found = dict.fromkeys(
        ("injected", "first_error", "detected", "promoted", "rerouted", "first_good", "healed", "failed_back")
    )
    if at.begin is None or at.injected is None:
        return dict(found)
    since = at.begin
    later = [e for e in timeline.events if e.trial is not None and e.t >= since]
    reads = stream_of(timeline, "probe_read")
    broken = _broke(timeline.requests, since)
    times: dict[str, int | None] = {
        "injected": at.injected,
        "first_error": _first_of(timeline.requests.t_done[broken]),
        "detected": _earliest(e for e in later if _marked_down(e)),
        "promoted": _earliest(e for e in later if e.kind == "store.promoted"),
        **_rerouting(reads, since, at.healed),
        "first_good": _first_good(reads, since),
        "healed": at.healed,
    }
    return {name: None if t is None else (t - at.injected) / SECOND for name, t in {**found, **times}.items()}


def _rerouting(reads: Requests, since: int, healed: int | None) -> dict[str, int | None]:
    """When probe reads were first answered by another region, and after healing by the original one again."""
    good = reads.where(reads.ok & reads.region.known)
    usual = good.region[good.t_done < since].counts()
    if not usual:
        return {}
    home = good.region.equals(max(usual, key=lambda region: usual[region]))
    away = _first_of(good.t_done[(good.t_scheduled >= since) & ~home])
    if away is None or healed is None:
        return {"rerouted": away}
    back = _first_of(good.t_done[(good.t_scheduled >= max(away, healed)) & home])
    return {"rerouted": away, "failed_back": back}


def _first_good(reads: Requests, since: int) -> int | None:
    """The first answer to a probe read that was due after the first failed one."""
    broken = _first_of(reads.t_scheduled[_broke(reads, since)])
    return None if broken is None else _first_of(reads.t_done[reads.ok & (reads.t_scheduled > broken)])


def _broke(requests: Requests, since: int) -> Flags:
    return np.asarray(~requests.ok & requests.sent & (requests.t_done >= since))


def _first_of(times: Ints) -> int | None:
    return int(times.min()) if len(times) else None


def _marked_down(event: Event) -> bool:
    return event.kind == "edge.server" and event.data.get("up") is False and event.data.get("backend") == "reads"


def _healed(events: list[Event]) -> int | None:
    """When the last of the injected faults was first healed; rollbacks that heal again change nothing."""
    heals = sorted((e for e in events if e.kind == "fault.healed"), key=_acknowledged)
    acknowledged = []
    for injected in (e for e in events if e.kind == "fault.injected"):
        same = (e for e in heals if e.t >= injected.t and fault_key(e) == fault_key(injected))
        acknowledged.append(next((_acknowledged(e) for e in same), None))
    known = [t for t in acknowledged if t is not None]
    return max(known) if known and len(known) == len(acknowledged) else None


def fault_key(event: Event) -> str:
    """What tells one fault of a trial from another: its name with its arguments."""
    return json.dumps([event.data.get("fault"), event.data.get("arguments")], sort_keys=True, default=str)


def _acknowledged(event: Event) -> int:
    return int(event.data.get("t_ack", event.t))


def _first(events: Iterable[Event], kind: str) -> Event | None:
    return min((e for e in events if e.kind == kind), key=lambda e: e.t, default=None)


def _earliest(events: Iterable[Event]) -> int | None:
    return min((e.t for e in events), default=None)


def _end(events: list[Event], requests: Requests) -> int | None:
    """When the clients stopped: ``load.stopped``, else ``trial.ended``, else the last probe that was due.

    The prober's own ``prober.stopped`` is more exact, and taken where it lies within 5 s before that.
    """
    stops = [e for e in events if e.kind == "load.stopped"] or [e for e in events if e.kind == "trial.ended"]
    if not stops:
        probes = requests.t_scheduled[~requests.stream.equals("load")]
        return int(probes.max()) if len(probes) else None
    end = max(e.t for e in stops)
    prober = max((e.t for e in events if e.kind == "prober.stopped"), default=end)
    return prober if end - 5 * SECOND <= prober < end else end
