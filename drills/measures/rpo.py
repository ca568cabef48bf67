"""What was lost: every write that was acknowledged, held against every region's event log after healing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from drills.measures.ledger import Ledger, ledger
from drills.measures.model import UNSETTLED, Measure, Settings, absent, unknown
from drills.measures.phases import SECOND, moments
from drills.recording.timeline import Flags, Timeline

SAMPLE = 20


def rpo_events(timeline: Timeline, settings: Settings) -> Measure:
    """How many acknowledged events are missing from the log of at least one region after healing."""
    books = ledger(timeline, settings)
    evidence = _evidence(timeline, books)
    if not settings.logs_listed:  # nobody asked for what was never sent
        evidence |= {"unexpected": None, "unexpected_ids": None}
    if not settings.regions or not books.acknowledged.any():
        return unknown("rpo_events", _why_nothing(settings), **evidence)
    return _counted("rpo_events", _number(_any_region(books.lost(), books)), books, evidence)


def rpo_s(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds between the fault and the acknowledgement of the lost event farthest from it; 0 without one.

    For an event acknowledged before the fault this is its age at the fault. One acknowledged after the fault
    counts with its distance too: it must not look as if nothing was lost.
    """
    injected = moments(timeline).injected
    books = ledger(timeline, settings)
    if injected is None:
        return unknown("rpo_s", "No fault was injected.")
    if not settings.regions or not books.acknowledged.any():
        return unknown("rpo_s", _why_nothing(settings))
    when = books.acknowledged_at[_any_region(books.lost(), books)]
    evidence: dict[str, object] = {
        "lost_before_fault": _number(when < injected),
        "lost_after_fault": _number(when >= injected),
        "oldest_lost": _oldest_lost(timeline, books),
        "replication": _replication(timeline),
    }
    farthest = int(np.abs(when - injected).max()) / SECOND if len(when) else 0.0
    return _counted("rpo_s", farthest, books, evidence)


def duplicated_events(timeline: Timeline, settings: Settings) -> Measure:
    """How many of the trial's events stand more than once in the log of a region."""
    books = ledger(timeline, settings)
    if not settings.regions:
        return unknown("duplicated_events", _why_nothing(settings))
    if not settings.shows_repeats:
        return unknown("duplicated_events", absent(settings)["duplicated_events"])
    if not len(books.ids):
        return unknown("duplicated_events", "No write was sent.")
    twice = {region: log.count > 1 for region, log in books.logs.items()}
    named = {region: sorted(books.names(np.flatnonzero(more)))[:SAMPLE] for region, more in twice.items()}
    return _counted("duplicated_events", _number(_any_region(twice, books)), books, {"by_region": named})


def stale_events(timeline: Timeline, settings: Settings) -> Measure:
    """How many acknowledged events a region lacked at its first reading after healing and had at the last.

    They were not lost, but whoever asked that region meanwhile did not find them. Unknown where the readings did not
    note when they saw an event first.
    """
    name, books = "stale_events", ledger(timeline, settings)
    if not settings.regions or not books.acknowledged.any():
        return unknown(name, _why_nothing(settings))
    late = {region: log.stale & books.acknowledged for region, log in books.logs.items() if log.stale is not None}
    if books.logs.keys() - late.keys():
        regions = " and ".join(sorted(books.logs.keys() - late.keys()))
        return unknown(name, f"The readings of {regions} did not note when an event was seen first.")
    evidence: dict[str, object] = {
        "by_region": {region: _number(flags) for region, flags in late.items()},
        "ids": {region: books.oldest(flags, SAMPLE) for region, flags in late.items()},
    }
    return _counted(name, _number(_any_region(late, books)), books, evidence)


def _why_nothing(settings: Settings) -> str:
    if not settings.regions:
        return "The service has no way to read its events back, so nobody knows which it kept."
    return "No write was acknowledged, so there was nothing to lose."


def _counted(name: str, known: float, books: Ledger, evidence: dict[str, object]) -> Measure:
    """The measure, open upwards where the books are incomplete: more may be missing than is known."""
    unit = "s" if name.endswith("_s") else "events"
    doubt = books.uncertainty()
    if doubt:
        return Measure(name=name, value=None, unit=unit, possible=(known, UNSETTLED), reason=doubt, evidence=evidence)
    return Measure(name=name, value=known, unit=unit, resolution=None if unit == "s" else 1, evidence=evidence)


def _any_region(by_region: dict[str, Flags], books: Ledger) -> Flags:
    """Which events are flagged in at least one region. [e]"""
    return np.asarray(np.logical_or.reduce([np.zeros(len(books.ids), np.bool_), *by_region.values()]))


def _number(flags: Flags) -> int:
    return int(np.count_nonzero(flags))


def _evidence(timeline: Timeline, books: Ledger) -> dict[str, object]:
    lost, acknowledged = books.lost(), books.acknowledged
    everywhere = np.logical_and.reduce(list(lost.values())) if lost else np.zeros(len(books.ids), np.bool_)
    present = _any_region({region: log.count > 0 for region, log in books.logs.items()}, books)
    unexpected = _ours({id_ for log in books.logs.values() for id_ in log.others}, books)
    return {
        "acknowledged": _number(acknowledged),
        "failed": _number(books.failed & ~acknowledged),
        "indeterminate": _number(~books.failed & ~acknowledged),
        "sent": len(books.ids),
        "regions_read": list(books.logs),
        "lost_by_region": {region: _number(flags) for region, flags in lost.items()},
        "lost_everywhere": _number(everywhere),
        "lost_ids": {region: books.oldest(flags, SAMPLE) for region, flags in lost.items()},
        "oldest_lost": _oldest_lost(timeline, books),
        "recovered": _number(present & ~acknowledged),
        "unexpected": len(unexpected),
        "unexpected_ids": unexpected[:SAMPLE],
        "replication": _replication(timeline),
    }


def _oldest_lost(timeline: Timeline, books: Ledger) -> dict[str, object] | None:
    """The lost event that was acknowledged first, and its age at the fault (s; negative: it came after the fault)."""
    lost, injected = _any_region(books.lost(), books), moments(timeline).injected
    if not lost.any():
        return None
    when = int(books.acknowledged_at[lost].min())
    age_s = None if injected is None else (injected - when) / SECOND
    return {"id": books.oldest(lost, 1)[0], "age_s": age_s}


def _replication(timeline: Timeline) -> object:
    """How the store of the deployed target replicates, as it says itself; None where it does not."""
    deployed = [e for e in timeline.events if e.kind == "target.deployed"]
    return deployed[-1].data.get("replication") if deployed else None


def _ours(ids: Iterable[str], books: Ledger) -> list[str]:
    """Those of ``ids`` that begin like the events of this trial (everything up to the last hyphen), in order."""
    strange = sorted(ids)
    if not strange:
        return []
    prefixes = {id_.rpartition("-")[0] for id_ in books.ids.to_pylist()}
    return [id_ for id_ in strange if id_.rpartition("-")[0] in prefixes]
