"""What recdr and the parts it watches said in the events: marks of a failover, evidence, fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from drills.record import Event
from reports import cleaning
from reports.series import NS, Requests

MARK_LABELS = {
    "injected": "Fault injected",
    "effect": "Effect seen from outside",
    "first_error": "First request failed",
    "detected": "Edge took a server out",
    "promoted": "Store promoted",
    "rerouted": "First answer from the other region",
    "reads_back": "Reads back for good",
    "writes_back": "Writes back for good",
    "heal": "Heal began",
    "healed": "Fault healed",
    "heal_confirmed": "Healing seen from outside",
    "failed_back": "Edge took the last server back",
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
    """The trial's edges from its events, and from its requests where those are missing."""
    due = [int(requests.due.min()), int(requests.done.max())] if len(requests) else []
    all_t = [event.t for event in events] + due
    start = first(events, "trial.started") or (due[0] if due else min(all_t, default=0))
    end = last(events, "trial.ended") or max(all_t, default=start)
    injected, healed = first(events, "fault.injected"), last(events, "fault.healed")
    return Clock(
        start=min(start, injected or start),
        end=max(end, healed or end, start + 1),
        zero=start if injected is None else injected,
        injected=injected,
        healed=healed,
    )


def first(events: list[Event], kind: str) -> int | None:
    return min((event.t for event in events if event.kind == kind), default=None)


def last(events: list[Event], kind: str) -> int | None:
    return max((event.t for event in events if event.kind == kind), default=None)


def marks(events: list[Event], requests: Requests, at: Clock, rto_s: dict[str, float | None]) -> list[Mark]:
    """The moments that can be told from the record, in time order; a missing one was not observed.

    ``rto_s`` holds the verdict's own ``reads`` and ``writes``: what counts as recovered is decided there.
    """
    if at.injected is None:
        return []
    found = [*_from_events(events, at), *_from_requests(requests, at)]
    for who, key in (("reads", "reads_back"), ("writes", "writes_back")):
        seconds = rto_s.get(who)
        if seconds is not None and seconds > 0:
            found.append(Mark(key, seconds, f"verdict: rto_{who[:-1]}_s"))
    ordered = sorted(found, key=lambda mark: (mark.t_s, list(MARK_LABELS).index(mark.key)))
    since = [None, *(b.t_s - a.t_s for a, b in pairwise(ordered))]
    return [Mark(m.key, m.t_s, m.source, i + 1, since[i]) for i, m in enumerate(ordered)]


def _from_events(events: list[Event], at: Clock) -> list[Mark]:
    after = [event for event in events if event.t >= at.zero]
    down = [e for e in after if e.kind == "edge.server" and e.data.get("up") is False]
    up = [
        e
        for e in after
        if e.kind == "edge.server" and e.data.get("up") is True and e.t >= (at.healed or at.end)
    ]
    picks: list[tuple[str, list[Event], str]] = [
        (
            "injected",
            [e for e in after if e.kind == "fault.injected"][:1],
            "recdr: the injection was acknowledged",
        ),
        ("effect", [e for e in after if e.kind == "fault.effect" and e.data.get("observed") is True][:1], ""),
        ("detected", down[:1], "HAProxy's log"),
        ("promoted", [e for e in after if e.kind == "store.promoted"][:1], "the store's own role"),
        ("healed", [e for e in after if e.kind == "fault.healed"][-1:], "recdr: the heal was acknowledged"),
        (
            "heal_confirmed",
            [e for e in after if e.kind == "heal.confirmed" and e.data.get("confirmed") is True][-1:],
            "",
        ),
        ("failed_back", up[-1:], "HAProxy's log"),
    ]
    out = [Mark(key, at.s(e.t), source or _said(e)) for key, chosen, source in picks for e in chosen]
    begun = [t for e in after if e.kind == "fault.healed" and isinstance(t := e.data.get("t_begin"), int)]
    if begun and at.zero <= max(begun) <= at.end:
        out.append(Mark("heal", at.s(max(begun)), "recdr"))
    return out


def _from_requests(requests: Requests, at: Clock) -> list[Mark]:
    out = []
    failed = requests.due[~requests.ok & (requests.due >= at.zero)]
    if len(failed) and (at.healed is None or failed.min() < at.healed):
        out.append(
            Mark(
                "first_error",
                at.s(int(failed.min())),
                "requests: the first one due after the fault that failed",
            )
        )
    before = requests.where(requests.ok & (requests.done < at.zero) & ~requests.write)
    usual = np.unique(before.region)
    other = requests.where(requests.ok & (requests.due >= at.zero) & ~requests.write & (requests.region >= 0))
    elsewhere = other.done[~np.isin(other.region, usual)]
    if len(usual) and len(elsewhere):
        out.append(
            Mark(
                "rerouted",
                at.s(int(elsewhere.min())),
                "requests: a region answered reads that had not before",
            )
        )
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
            out.append(
                Sighting(at.s(event.t), f"Effect of {fault}", data.get("observed") is True, _evidence(data))
            )
        elif event.kind == "heal.confirmed":
            out.append(
                Sighting(at.s(event.t), f"Healing of {fault}", data.get("confirmed") is True, _evidence(data))
            )
        elif event.kind == "edge.server":
            who = cleaning.text(data.get("node") or data.get("server") or "a server")
            way = "in" if data.get("up") is True else "out"
            for_what = cleaning.text(data.get("backend") or "traffic")
            out.append(
                Sighting(at.s(event.t), f"Edge took {who} {way} for {for_what}", None, "HAProxy's own log")
            )
        elif event.kind in {"store.promoted", "store.role"}:
            what = "Store promoted" if event.kind == "store.promoted" else "Store changed its role"
            out.append(Sighting(at.s(event.t), what, None, _fields(data)))
        elif event.kind in {"abort", "interrupted", "note"} or event.kind.startswith("split"):
            out.append(Sighting(at.s(event.t), cleaning.text(event.kind).capitalize(), None, _fields(data)))
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
    kind = (
        raw
        if isinstance(raw, str)
        else said.get("kind") or said.get("level") or said.get("name") or "not stated"
    )
    return FaultUse(
        fault=cleaning.text(data.get("fault") or "not named"),
        arguments=_fields(cleaning.mapping(data.get("arguments"))),
        kind=cleaning.text(kind),
        certifies=_listed(said.get("certifies")),
        does_not_certify=_listed(
            said.get("does_not_certify") or said.get("not_certified") or said.get("excludes")
        ),
    )


def _listed(value: object) -> str:
    if isinstance(value, list):
        return cleaning.text("; ".join(cleaning.text(item) for item in value))
    return cleaning.text(value)
