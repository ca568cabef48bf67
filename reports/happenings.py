"""What recdr and the parts it watches said in the events: marks of a failover, evidence, fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from drills.naming import shown
from drills.recording.record import Event
from reports import cleaning
from reports.columns import NS, Requests

MARK_LABELS = {
    "injected": "Fault injected",
    "first_error": "First request failed",
    "effect": "Effect seen from outside",
    "detected": "Edge took a server out",
    "rerouted": "First read answered by the other region",
    "first_good": "First good read after a failed one",
    "reads_back": "Reads back for good",
    "promoted": "Store promoted",
    "writes_back": "Writes back for good",
    "heal": "Heal began",
    "healed": "Fault healed",
    "heal_confirmed": "Healing seen from outside",
    "failed_back": "Reads answered by the first region again",
}
_MILESTONES = {
    "injected": ("injected", "recdr: the injection was acknowledged"),
    "first_error": ("first_error", "requests: the first one that came back failed"),
    "detected": ("detected", "HAProxy's log"),
    "promoted": ("promoted", "the store's own role"),
    "rerouted": ("rerouted", "requests: the probe reads' answers"),
    "first_good": ("first_good", "requests: the probe reads' answers"),
    "sustained_read": ("reads_back", "measured: rto_read_s"),
    "sustained_write": ("writes_back", "measured: rto_write_s"),
    "healed": ("healed", "recdr: the heal was acknowledged"),
    "failed_back": ("failed_back", "requests: the probe reads' answers"),
}
"""The verdict's milestones: mark and where it is known from."""


_SHOWN = {
    "abort": "Run aborted",
    "interrupted": "Run interrupted",
    "note": "Note",
    "process.ended": "Process ended",
    "sentinel.switched": "Sentinel switched",
}


@dataclass(frozen=True)
class Mark:
    """One moment of the failover, ``t_s`` seconds after the fault; ``source`` says where it is known from."""

    key: str
    t_s: float
    source: str
    number: int = 0
    since_s: float | None = None
    """Seconds since the moment before; None for the first."""

    @property
    def label(self) -> str:
        return MARK_LABELS[self.key]


@dataclass(frozen=True)
class Sighting:
    """One piece of evidence; ``held`` is whether it shows what it should, None for a plain event."""

    t_s: float
    what: str
    held: bool | None
    evidence: str


@dataclass(frozen=True)
class FaultUse:
    """A fault as it was injected, with what its fidelity does and does not certify."""

    fault: str
    arguments: str
    kind: str
    certifies: str
    does_not_certify: str


@dataclass(frozen=True)
class Clock:
    """A trial on its own axis, all in ns. ``zero`` is the first injection, or the start."""

    start: int
    end: int
    zero: int
    injected: int | None
    healed: int | None

    def s(self, t: int) -> float:
        return (t - self.zero) / NS


def clock(events: list[Event], requests: Requests) -> Clock:
    """The trial's edges from its requests, and from its events where there are none."""
    if len(requests):  # what came before and after the clients has nothing to show on their time axis
        start, end = int(requests.due.min()), int(requests.done.max())
    else:
        start, end = min((e.t for e in events), default=0), max((e.t for e in events), default=0)
    injected, healed = first(events, "fault.injected"), last(events, "fault.healed")
    return Clock(
        start=min(start, injected or start),
        end=max(end, healed or end, start + 1),
        zero=start if injected is None else injected,
        injected=injected,
        healed=healed,
    )


def spans(at: Clock) -> list[tuple[str, int, int]]:
    """The trial's phases in words, each from when until when (ns); one that took no time is left out."""
    if at.injected is None:
        return [("throughout", at.start, at.end)]
    healed = at.end if at.healed is None else at.healed
    phases = [
        ("before the fault", at.start, at.injected),
        ("during the fault", at.injected, healed),
        ("after healing", healed, at.end),
    ]
    return [(name, a, b) for name, a, b in phases if b > a]


def first(events: list[Event], kind: str) -> int | None:
    return min((event.t for event in events if event.kind == kind), default=None)


def last(events: list[Event], kind: str) -> int | None:
    return max((event.t for event in events if event.kind == kind), default=None)


def marks(events: list[Event], at: Clock, phases: dict[str, Any]) -> list[Mark]:
    """The moments of the failover in time order, numbered; a missing one was not observed.

    ``phases`` are the verdict's milestones in seconds after the injection: they are decided there, once.
    Evidence and the beginning of the heal are read from the events.
    """
    if at.injected is None:
        return []
    found = _from_events(events, at)
    for name, (key, source) in _MILESTONES.items():
        seconds = cleaning.number(phases.get(name))
        # A recovery after 0 s is none: nothing had to recover.
        if seconds is not None and (seconds or not name.startswith("sustained")):
            found.append(Mark(key, seconds, source))
    found += [] if phases else [Mark("injected", 0.0, "recdr"), *_healed(at)]
    ordered = sorted(found, key=lambda mark: (mark.t_s, list(MARK_LABELS).index(mark.key)))
    since = [None, *(b.t_s - a.t_s for a, b in pairwise(ordered))]
    return [Mark(m.key, m.t_s, m.source, i + 1, since[i]) for i, m in enumerate(ordered)]


def _healed(at: Clock) -> list[Mark]:
    return [] if at.healed is None else [Mark("healed", at.s(at.healed), "recdr")]


def _from_events(events: list[Event], at: Clock) -> list[Mark]:
    seen = [e for e in events if e.kind == "fault.effect" and e.data.get("observed") is True]
    confirmed = [e for e in events if e.kind == "heal.confirmed" and e.data.get("confirmed") is True]
    out = [Mark("effect", at.s(e.t), _said(e)) for e in seen[:1]]
    out += [Mark("heal_confirmed", at.s(e.t), _said(e)) for e in confirmed[-1:]]
    begun = [t for e in events if e.kind == "fault.healed" and isinstance(t := e.data.get("t_begin"), int)]
    if begun and at.zero <= max(begun) <= at.end:
        out.append(Mark("heal", at.s(max(begun)), "recdr"))
    return out


def _said(event: Event) -> str:
    return cleaning.text(event.data.get("evidence") or "recdr")


def sightings(events: list[Event], at: Clock) -> list[Sighting]:
    """Evidence of effect and of healing first to last, with what the edge and the stores did."""
    out = []
    for event in events:
        data = event.data
        fault = cleaning.text(data.get("fault") or "the fault")
        if event.kind == "fault.effect":
            out.append(Sighting(at.s(event.t), f"Effect of {fault}", data.get("observed") is True, _evidence(data)))
        elif event.kind == "heal.confirmed":
            out.append(Sighting(at.s(event.t), f"Healing of {fault}", data.get("confirmed") is True, _evidence(data)))
        elif event.kind == "edge.server":
            why = cleaning.text(data.get("why") or "HAProxy's own log")
            who = cleaning.text(data.get("node") or data.get("server") or "a server")
            way = "in" if data.get("up") is True else "out"
            for_what = cleaning.text(data.get("backend") or "traffic")
            out.append(Sighting(at.s(event.t), f"Edge took {who} {way} for {for_what}", None, why))
        elif event.kind in {"store.promoted", "store.role"}:
            what = "Store promoted" if event.kind == "store.promoted" else "Store changed its role"
            out.append(Sighting(at.s(event.t), what, None, _fields(data)))
        elif event.kind in _SHOWN or event.kind.startswith("split"):
            what = _SHOWN.get(event.kind, cleaning.text(event.kind).capitalize())
            out.append(Sighting(at.s(event.t), what, None, _fields(data)))
    return out


def _evidence(data: dict[str, Any]) -> str:
    said = cleaning.text(data.get("evidence") or "no evidence was recorded")
    details = data.get("details")
    return f"{said} ({_fields(details)})" if isinstance(details, dict) and details else said


def _fields(data: dict[str, Any]) -> str:
    return cleaning.text(", ".join(f"{cleaning.text(k)}: {cleaning.text(v)}" for k, v in data.items()))


def fault_uses(events: list[Event]) -> list[FaultUse]:
    """Each fault once, as first injected. Fidelity may be a word or a mapping with what it certifies."""
    seen: dict[tuple[str, str], FaultUse] = {}
    for event in events:
        if event.kind == "fault.injected":
            use = _fault_use(event.data)
            seen.setdefault((use.fault, use.arguments), use)
    return list(seen.values())


def _fault_use(data: dict[str, Any]) -> FaultUse:
    raw = data.get("fidelity")
    said = cleaning.mapping(raw)
    kind = raw if isinstance(raw, str) else said.get("kind") or said.get("level") or said.get("name") or "not stated"
    return FaultUse(
        fault=cleaning.text(data.get("fault") or "not named"),
        arguments=cleaning.text(shown(cleaning.mapping(data.get("arguments")))),
        kind=cleaning.text(kind),
        certifies=_listed(said.get("certifies")),
        does_not_certify=_listed(said.get("does_not_certify") or said.get("not_certified") or said.get("excludes")),
    )


def _listed(value: object) -> str:
    if isinstance(value, list):
        return cleaning.text("; ".join(cleaning.text(item) for item in value))
    return cleaning.text(value)
