"""When what happened: the phases of a trial, and the milestones between fault and fail-back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from drills.record import Event, Request, Timeline

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


def moments(timeline: Timeline) -> Moments:
    """Find the moments of the trial that ``timeline`` holds (``Timeline.of_trial``)."""
    events = [e for e in timeline.events if e.trial is not None]
    injected = _first(events, "fault.injected")
    start = _first(events, "trial.started")
    return Moments(
        start=start.t if start else min((r.t_scheduled for r in timeline.requests), default=None),
        begin=int(injected.data.get("t_begin", injected.t)) if injected else None,
        injected=_acknowledged(injected) if injected else None,
        healed=_healed(events),
        end=_end(events, timeline.requests),
    )


def in_phase(request: Request, phase: str, at: Moments) -> bool:
    """Whether ``request`` counts to ``phase``.

    A request that was under way when the injection began belongs to ``during``: the fault may have hit it.
    """
    if at.begin is None or request.t_done < at.begin:
        return phase == "before"
    if phase == "post_fault":
        return True
    healed = at.healed is not None and request.t_scheduled >= at.healed
    return phase == ("after" if healed else "during")


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
    reads = [r for r in timeline.requests if r.stream == "probe_read"]
    times: dict[str, int | None] = {
        "injected": at.injected,
        "first_error": min((r.t_done for r in timeline.requests if _broke(r, since)), default=None),
        "detected": _earliest(e for e in later if _marked_down(e)),
        "promoted": _earliest(e for e in later if e.kind == "store.promoted"),
        **_rerouting(reads, since, at.healed),
        "first_good": _first_good(reads, since),
        "healed": at.healed,
    }
    return {name: None if t is None else (t - at.injected) / SECOND for name, t in {**found, **times}.items()}


def _rerouting(reads: list[Request], since: int, healed: int | None) -> dict[str, int | None]:
    """When probe reads were first answered by another region, and after healing by the original one again."""
    good = sorted((r for r in reads if r.ok and r.region is not None), key=lambda r: r.t_done)
    usual = Counter(r.region for r in good if r.t_done < since).most_common(1)
    if not usual:
        return {}
    home = usual[0][0]
    away = next((r.t_done for r in good if r.t_scheduled >= since and r.region != home), None)
    if away is None or healed is None:
        return {"rerouted": away}
    back = (r.t_done for r in good if r.t_scheduled >= max(away, healed) and r.region == home)
    return {"rerouted": away, "failed_back": next(back, None)}


def _first_good(reads: list[Request], since: int) -> int | None:
    """The first answer to a probe read that was due after the first failed one."""
    broken = min((r.t_scheduled for r in reads if _broke(r, since)), default=None)
    if broken is None:
        return None
    return min((r.t_done for r in reads if r.ok and r.t_scheduled > broken), default=None)


def _broke(request: Request, since: int) -> bool:
    return not request.ok and request.error != "not_sent" and request.t_done >= since


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


def _end(events: list[Event], requests: list[Request]) -> int | None:
    """When the clients stopped: ``load.stopped``, else ``trial.ended``, else the last probe that was due.

    The prober's own ``prober.stopped`` is more exact, and taken where it lies within 5 s before that.
    """
    stops = [e for e in events if e.kind == "load.stopped"] or [e for e in events if e.kind == "trial.ended"]
    if not stops:
        return max((r.t_scheduled for r in requests if r.stream != "load"), default=None)
    end = max(e.t for e in stops)
    prober = max((e.t for e in events if e.kind == "prober.stopped"), default=end)
    return prober if end - 5 * SECOND <= prober < end else end
