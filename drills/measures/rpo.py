"""What was lost: every write that was acknowledged, held against every region's event log after healing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.phases import SECOND, moments
from drills.measures.schedule import unobserved
from drills.record import Timeline

SAMPLE = 20


@dataclass(frozen=True)
class Ledger:
    """Writes against logs. ``acknowledged``: id -> when (ns) the first acknowledgement came."""

    sent: frozenset[str]
    acknowledged: dict[str, int]
    counts: dict[str, dict[str, int]]
    """Region -> id -> how often it stands in the region's log; only regions that were read to the end."""
    unread: dict[str, str]
    """Region -> why its log is not known."""
    unseen: int
    """Write probes whose fate nobody saw: each may have been acknowledged."""

    def lost(self) -> dict[str, list[str]]:
        """Region -> acknowledged ids missing from its log, oldest acknowledgement first."""
        oldest = sorted(self.acknowledged, key=lambda id_: (self.acknowledged[id_], id_))
        return {region: [id_ for id_ in oldest if id_ not in found] for region, found in self.counts.items()}

    def uncertainty(self) -> str | None:
        """One sentence about what is missing from the books; None where nothing is."""
        if self.unread:
            return "; ".join(f"The event log of {region} is not known: {why}" for region, why in self.unread.items())
        if self.unseen:
            return f"The fate of {self.unseen} write probes was not recorded."
        return None


def ledger(timeline: Timeline, settings: Settings) -> Ledger:
    """Match the trial's writes with the regions' logs."""
    acknowledged: dict[str, int] = {}
    writes = [r for r in timeline.requests if r.op == "event" and r.id is not None and r.error != "not_sent"]
    for write in writes:
        if write.ok and write.id is not None:
            acknowledged[write.id] = min(write.t_done, acknowledged.get(write.id, write.t_done))
    counts: dict[str, dict[str, int]] = {}
    unread: dict[str, str] = {}
    for region in settings.regions:
        rows = [row for row in timeline.readback if row.region == region]
        why = _why_unread(timeline, region, len(rows))
        if why:
            unread[region] = why
        else:
            counts[region] = {row.id: row.count for row in rows}
    unseen = sum(unobserved(timeline, "probe_write", phase, settings) for phase in ("before", "post_fault"))
    return Ledger(frozenset(w.id for w in writes if w.id is not None), acknowledged, counts, unread, unseen)


def rpo_events(timeline: Timeline, settings: Settings) -> Measure:
    """How many acknowledged events are missing from the log of at least one region after healing."""
    books = ledger(timeline, settings)
    if not books.acknowledged:
        return unknown("rpo_events", "No write was acknowledged, so there was nothing to lose.", **_evidence(books))
    lost = len(_any_region(books.lost()))
    return _counted("rpo_events", lost, books, _evidence(books))


def rpo_s(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds between the fault and the acknowledgement of the lost event farthest from it; 0 without one.

    For an event acknowledged before the fault this is its age at the fault. One acknowledged after the fault
    counts with its distance too: it must not look as if nothing was lost.
    """
    injected = moments(timeline).injected
    books = ledger(timeline, settings)
    if injected is None:
        return unknown("rpo_s", "No fault was injected.")
    if not books.acknowledged:
        return unknown("rpo_s", "No write was acknowledged, so there was nothing to lose.")
    lost = _any_region(books.lost())
    distances = [abs(injected - books.acknowledged[id_]) / SECOND for id_ in lost]
    evidence: dict[str, object] = {
        "lost_before_fault": sum(books.acknowledged[id_] < injected for id_ in lost),
        "lost_after_fault": sum(books.acknowledged[id_] >= injected for id_ in lost),
    }
    return _counted("rpo_s", max(distances, default=0.0), books, evidence)


def duplicated_events(timeline: Timeline, settings: Settings) -> Measure:
    """How many of the trial's events stand more than once in the log of a region."""
    books = ledger(timeline, settings)
    if not books.sent:
        return unknown("duplicated_events", "No write was sent.")
    twice = {
        region: sorted(id_ for id_, count in found.items() if count > 1 and id_ in books.sent)
        for region, found in books.counts.items()
    }
    evidence: dict[str, object] = {"by_region": {region: ids[:SAMPLE] for region, ids in twice.items()}}
    return _counted("duplicated_events", len(_any_region(twice)), books, evidence)


def _counted(name: str, known: float, books: Ledger, evidence: dict[str, object]) -> Measure:
    """The measure, open upwards where the books are incomplete: more may be missing than is known."""
    unit = "s" if name.endswith("_s") else "events"
    doubt = books.uncertainty()
    if doubt:
        return Measure(name=name, value=None, unit=unit, possible=(known, UNSETTLED), reason=doubt, evidence=evidence)
    return Measure(name=name, value=known, unit=unit, resolution=None if unit == "s" else 1, evidence=evidence)


def _why_unread(timeline: Timeline, region: str, rows: int) -> str | None:
    """Why the log of ``region`` is not known to the end; None where it is."""
    tries = [
        e
        for e in timeline.events
        if e.trial is not None and e.kind in ("readback.failed", "readback.done") and e.data.get("region") == region
    ]
    last = max(tries, key=lambda e: e.t, default=None)
    if last is None:
        return "it was not read back after healing."
    if last.kind == "readback.failed":
        return f"reading it back failed ({last.data.get('why', 'no reason given')})."
    found = last.data.get("found", rows)
    return None if found == rows else f"{found} events were read back but {rows} are recorded."


def _any_region(by_region: dict[str, list[str]]) -> set[str]:
    return {id_ for ids in by_region.values() for id_ in ids}


def _evidence(books: Ledger) -> dict[str, object]:
    lost = books.lost()
    present = {id_ for found in books.counts.values() for id_ in found}
    everywhere = _any_region(lost).intersection(*(set(ids) for ids in lost.values())) if lost else set()
    unexpected = sorted(_ours(present, books.sent) - books.sent)
    return {
        "acknowledged": len(books.acknowledged),
        "sent": len(books.sent),
        "regions_read": list(books.counts),
        "lost_by_region": {region: len(ids) for region, ids in lost.items()},
        "lost_everywhere": len(everywhere),
        "lost_ids": {region: ids[:SAMPLE] for region, ids in lost.items()},
        "recovered": len((books.sent - books.acknowledged.keys()) & present),
        "unexpected": len(unexpected),
        "unexpected_ids": unexpected[:SAMPLE],
    }


def _ours(ids: Iterable[str], sent: frozenset[str]) -> set[str]:
    """Those of ``ids`` that begin like the events of this trial (everything up to the last hyphen)."""
    prefixes = Counter(id_.rpartition("-")[0] for id_ in sent)
    return {id_ for id_ in ids if id_.rpartition("-")[0] in prefixes}
