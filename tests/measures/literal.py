"""Timelines written by hand: a fault at second 10 of a trial that is measured up to second 30."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from drills.recording.record import Event, ReadBack, Request
from drills.recording.timeline import Timeline

SECOND = 1_000_000_000
ORIGIN = 1_000 * SECOND
INJECTED_S, HEALED_S, END_S = 10.0, 20.0, 30.0
FAULT = {"fault": "region_loss", "arguments": {"region": "primary"}}


def ns(second: float) -> int:
    """The moment ``second`` of the trial on the monotonic clock."""
    return ORIGIN + round(second * SECOND)


def event(kind: str, second: float, **data: Any) -> Event:
    return Event(t=ns(second), kind=kind, trial=1, data=data)


def usual_events() -> list[Event]:
    """A trial in which everything that recdr does went well."""
    return [
        event("trial.started", 0, variant=None),
        event("prober.started", 0, rates={"probe_read": 50, "probe_write": 50, "quality": 20}),
        event("fault.intent", INJECTED_S - 0.02, **FAULT),
        event("fault.injected", INJECTED_S, **FAULT, t_begin=ns(INJECTED_S - 0.01), t_ack=ns(INJECTED_S)),
        event("fault.effect", INJECTED_S + 0.3, **FAULT, observed=True, evidence="primary does not answer"),
        event("fault.healed", HEALED_S, **FAULT, t_begin=ns(HEALED_S - 1), t_ack=ns(HEALED_S)),
        event("heal.confirmed", HEALED_S + 1, **FAULT, confirmed=True, evidence="primary answers"),
        event("load.stopped", END_S),
        event("readback.done", END_S + 1, region="primary"),
        event("readback.done", END_S + 1, region="standby"),
        event("trial.ended", END_S + 2),
    ]


def without(events: Iterable[Event], *kinds: str) -> list[Event]:
    return [e for e in events if e.kind not in kinds]


def request(second: float, **given: Any) -> Request:
    """A request due at ``second``; unless ``given`` says otherwise a read, answered after 5 ms.

    ``late_s``: sent so much later; ``latency_s``: from due to answered.
    """
    sent = second + given.pop("late_s", 0.0)
    done = second + given.pop("latency_s", 0.005 + sent - second)
    known: dict[str, Any] = {
        "stream": "probe_read",
        "op": "recommend",
        "status": 200,
        "region": "primary",
    } | given
    return Request(trial=1, t_scheduled=ns(second), t_sent=ns(sent), t_done=ns(done), **known)


def failed(second: float, **given: Any) -> Request:
    return request(second, **{"status": 0, "error": "refused", "region": None, "latency_s": 0.001, **given})


def reads(bad: Callable[[float], bool] = lambda _: False, **given: Any) -> list[Request]:
    """A read every 20 ms from second 0.007 on; those for whose due second ``bad`` holds were refused."""
    due = [0.007 + n * 0.02 for n in range(1500)]
    return [failed(s, **given) if bad(s) else request(s, **given) for s in due if s < END_S]


def writes(bad: Callable[[float], bool] = lambda _: False) -> list[Request]:
    """A write every 20 ms, with ids "run-1-<n>"."""
    due = [0.017 + n * 0.02 for n in range(1500)]
    return [
        (failed if bad(s) else request)(s, stream="probe_write", op="event", id=f"run-1-{n}")
        for n, s in enumerate(due)
        if s < END_S
    ]


def quality(hit: Callable[[float, int], bool | None], users: int = 50) -> list[Request]:
    """A question every 50 ms over ``users`` in turn; ``hit(second, user)`` None: no answer."""
    asked = []
    for n in range(int(END_S * 20)):
        second, user = 0.002 + n * 0.05, n % users
        found, common = hit(second, user), {"stream": "quality", "id": f"q{user}"}
        asked.append(
            failed(second, **common) if found is None else request(second, hits=int(found), expected=1, **common)
        )
    return asked


def log_of(*regions: str, requests: Iterable[Request]) -> list[ReadBack]:
    """Logs that hold every acknowledged write once."""
    ids = [r.id for r in requests if r.op == "event" and r.ok and r.id]
    return [ReadBack(trial=1, region=region, id=id_, count=1) for region in regions for id_ in ids]


def timeline(
    requests: Iterable[Request],
    events: Iterable[Event] | None = None,
    readback: Iterable[ReadBack] | None = None,
) -> Timeline:
    """A timeline whose prober announced just the streams that ``requests`` has."""
    asked = list(requests)
    logs = log_of("primary", "standby", requests=asked) if readback is None else list(readback)
    told = list(events or usual_events())
    for one in told:
        if one.kind == "prober.started":
            streams = {r.stream for r in asked}
            one.data["rates"] = {stream: rate for stream, rate in one.data["rates"].items() if stream in streams}
    return Timeline(events=told, requests=asked, readback=logs)
