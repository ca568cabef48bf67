"""From a session to trials: the record is cut at the outages, written as a run's is, and read again as a run's is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from drills.calibration import books, shop
from drills.calibration.books import SECOND, Books, Entry, Served
from drills.calibration.session import RATES, TIMEOUT_S, Performed, Session
from drills.recording import record, timeline
from drills.recording.record import Event, EventWriter, ReadBack, Request, RequestWriter
from drills.recording.timeline import Timeline

HEAL_BEFORE_NS = 5_000_000
TIMEOUT_RACE_NS = 20_000_000


@dataclass(frozen=True)
class Trial:
    """One outage beside what was recorded of it and what the server knows of it."""

    performed: Performed
    timeline: Timeline
    requests: list[Request]
    books: Books

    @property
    def lateness_ns(self) -> int:
        """The longest that the prober was behind its schedule."""
        return max((r.t_sent - r.t_scheduled for r in self.requests), default=0)


def of_session(session: Session) -> list[Trial]:
    """Every outage of a session that has ended, as a trial of its own."""
    requests = sorted(record.read_part(session.part), key=lambda r: r.t_scheduled)
    entries = books.read(session.books)
    parts = [_own(requests, performed) for performed in session.performed]
    _write_run(session, parts, entries)
    whole = timeline.read(session.folder)
    return [
        Trial(performed, whole.of_trial(performed.trial), part, _books(entries, performed))
        for performed, part in zip(session.performed, parts, strict=True)
    ]


def wrong_records(trial: Trial) -> tuple[int, str | None]:
    """How many probes the record has not, has twice, or has otherwise than the server, and an example.

    A slot without record; a write that the server saw and the record has not; one that was sent after it arrived or
    answered before its answer was written; one that only one of both calls acknowledged. Where the answer came just
    when the prober gave up, both are right.
    """
    found = [*_missing_slots(trial), *_wrong_writes(trial)]
    return len(found), next(iter(found), None)


def _missing_slots(trial: Trial) -> Iterator[str]:
    for stream, rate in RATES.items():
        due = Counter(r.t_scheduled for r in trial.requests if r.stream == stream)
        span = trial.performed.end - trial.performed.start
        slots = span * rate / SECOND
        yield from (f"a {stream} stands twice in the record" for count in due.values() if count > 1)
        yield from (f"a {stream} has no record" for _ in range(int(slots) - len(due)))


def _wrong_writes(trial: Trial) -> Iterator[str]:
    recorded = {r.id: r for r in trial.requests if r.stream == "probe_write"}
    for served in trial.books.writes():
        request = recorded.get(served.id)
        edge = min(served.t_arrived - trial.performed.start, trial.performed.end - served.t_arrived)
        if request is None:
            if edge > TIMEOUT_RACE_NS:
                yield f"the write {served.id} has no record"
        elif complaint := _contradiction(request, served):
            yield f"the write {served.id} {complaint}"


def _contradiction(request: Request, served: Served) -> str | None:
    if request.error == "not_sent":
        return "was sent, but not so by the record"
    if request.t_sent > served.t_arrived:
        return f"arrived {(request.t_sent - served.t_arrived) / 1e6:.1f} ms before it was sent by the record"
    if served.t_answered is not None and request.ok and request.t_done < served.t_answered:
        return f"was answered {(served.t_answered - request.t_done) / 1e6:.1f} ms after it was by the record"
    waited = (served.t_answered or request.t_done) - request.t_sent
    if request.ok != served.ok and waited < TIMEOUT_S * SECOND - TIMEOUT_RACE_NS:
        return f"was answered with {served.status}, but has {request.error or request.status} in the record"
    return None


def _own(requests: list[Request], performed: Performed) -> list[Request]:
    within = (r for r in requests if performed.start <= r.t_scheduled < performed.end)
    return [msgspec.structs.replace(r, trial=performed.trial) for r in within]


def _books(entries: list[Entry], performed: Performed) -> Books:
    return books.between(entries, performed.edges, performed.start, performed.end)


def _write_run(session: Session, parts: list[list[Request]], entries: list[Entry]) -> None:
    """The session as a run's directory: events.jsonl, requests.parquet and readback.parquet."""
    cut = session.folder / "cut.part"
    writer = RequestWriter(cut)
    for request in (r for part in parts for r in part):
        writer.write(request)
    writer.close()
    record.write_requests(session.folder / "requests.parquet", [cut])
    log, rows = record.read_events(session.log), []
    baseline = EventWriter(session.folder / "events.jsonl")
    baseline.write("baseline.recorded", t=session.performed[0].start if session.performed else 0, **shop.baseline())
    baseline.close()
    for performed, part in zip(session.performed, parts, strict=True):
        events = EventWriter(session.folder / "events.jsonl", performed.trial)
        _tell(performed, _books(entries, performed), log, events)
        rows += _read_back(session, performed, part, log, events)
        events.close()
    record.write_readback(session.folder / "readback.parquet", rows)


def _tell(performed: Performed, seen: Books, log: list[Event], events: EventWriter) -> None:
    """The outage as the events of a trial: a fault that begins, and is acknowledged, when the server really began."""
    edges = performed.edges
    fault: dict[str, Any] = {"fault": performed.shape.name, "arguments": {}}
    events.write("trial.started", t=performed.start, planned=1)
    for started in (e for e in log if e.kind == "prober.started"):
        events.write("prober.started", t=performed.start, **started.data)
    begin = edges.begin
    events.write("fault.injected", t=begin, **fault, t_begin=begin, t_ack=begin, fidelity={"kind": "real"})
    events.write("fault.effect", t=begin, **fault, observed=True, evidence="the server's own books")
    healed = _healed(seen)
    events.write("fault.healed", t=healed, **fault, t_begin=healed, t_ack=healed)
    events.write("heal.confirmed", t=healed, **fault, confirmed=True, evidence="the server's own books")
    events.write("load.stopped", t=performed.end)
    events.write("trial.ended", t=performed.end)


def _healed(seen: Books) -> int:
    """The end of the script, but not while a write is under way: it would belong to neither side."""
    following = (s.t_arrived for s in seen.since if s.stream == "probe_write" and s.t_arrived >= seen.edges.end)
    return max(seen.edges.end, next(following, seen.edges.end) - HEAL_BEFORE_NS)


def _read_back(
    session: Session, performed: Performed, part: list[Request], log: list[Event], events: EventWriter
) -> list[ReadBack]:
    """The trial's part of the one reading at the session's end, with its own count of rows."""
    own = {r.id for r in part if r.stream == "probe_write"}
    rows = [msgspec.structs.replace(row, trial=performed.trial) for row in session.rows if row.id in own]
    for event in (e for e in log if e.kind.startswith("readback.")):
        found = sum(row.region == event.data["region"] for row in rows)
        counted: dict[str, Any] = {"found": found} if event.kind == "readback.done" else {}
        events.write(event.kind, t=event.t, **{**event.data, **counted})
    return rows
