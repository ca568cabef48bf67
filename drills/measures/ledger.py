"""The books of a trial's writes: what was sent and acknowledged, held against every region's event log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drills.measures.memo import remembered
from drills.measures.model import Settings
from drills.measures.schedule import unobserved
from drills.recording.timeline import Flags, Ints, Requests, Timeline

NEVER = int(np.iinfo(np.int64).max)
_NOT_STORED = ("refused", "unreachable")
"""Errors after which the service cannot have got the request."""


@dataclass(frozen=True, eq=False)
class Log:
    """What one region's log holds of the events sent [e], and which events it holds beside them."""

    count: Ints
    """How often each event stands in it."""
    stale: Flags | None
    """Which events it gained only after its first reading; None where that was not noted."""
    others: list[str]


@dataclass(frozen=True, eq=False)
class Ledger:
    """Writes against logs. ``ids``: every event sent, once [e]."""

    ids: pa.Array
    acknowledged_at: Ints
    """When (ns) the first acknowledgement came, or NEVER. [e]"""
    failed: Flags
    """Certainly not stored: refused before it was sent, or turned down as wrong (4xx), each time. [e]"""
    logs: dict[str, Log]
    """By region; only regions that were read to the end."""
    unread: dict[str, str]
    """Region -> why its log is not known."""
    unseen: int
    """Write probes whose fate nobody saw: each may have been acknowledged."""

    @property
    def acknowledged(self) -> Flags:
        return np.asarray(self.acknowledged_at != NEVER)

    def lost(self) -> dict[str, Flags]:
        """Region -> which events were acknowledged and are missing from its log. [e] each"""
        return {region: self.acknowledged & (log.count == 0) for region, log in self.logs.items()}

    def oldest(self, chosen: Flags, most: int) -> list[str]:
        """The ids of at most so many of the chosen events, the oldest acknowledgement first."""
        places = np.flatnonzero(chosen)
        when = self.acknowledged_at[places]
        if len(places) > most:  # only those that can be among the first need their ids compared
            places = places[when <= np.partition(when, most - 1)[most - 1]]
        known = sorted(zip(self.acknowledged_at[places].tolist(), self.names(places), strict=True))
        return [id_ for _, id_ in known[:most]]

    def names(self, places: Ints) -> list[str]:
        found: list[str] = self.ids.take(pa.array(places)).to_pylist()
        return found

    def uncertainty(self) -> str | None:
        """One sentence about what is missing from the books; None where nothing is."""
        if self.unread:
            return "; ".join(f"The event log of {region} is not known: {why}" for region, why in self.unread.items())
        if self.unseen:
            return f"The fate of {self.unseen} write probes was not recorded."
        return None


@remembered
def ledger(timeline: Timeline, settings: Settings) -> Ledger:
    """Match the trial's writes with the regions' logs."""
    requests = timeline.requests
    writes = requests.where(requests.op.equals("event") & requests.sent & ~_absent(requests.ids))
    coded = writes.ids.combine_chunks().dictionary_encode()
    event = np.asarray(coded.indices.to_numpy(), np.int64)
    acknowledged_at, ok = np.full(len(coded.dictionary), NEVER), writes.ok
    np.minimum.at(acknowledged_at, event[ok], writes.t_done[ok])
    failed = np.full(len(coded.dictionary), True)
    failed[event[~_not_stored(writes)]] = False
    logs: dict[str, Log] = {}
    unread: dict[str, str] = {}
    for region in settings.regions:
        rows = timeline.readback.region.equals(region)
        why = _why_unread(timeline, region, int(np.count_nonzero(rows)))
        if why:
            unread[region] = why
        else:
            logs[region] = _log(timeline, region, rows, coded.dictionary)
    unseen = sum(unobserved(timeline, "probe_write", phase, settings) for phase in ("before", "post_fault"))
    return Ledger(coded.dictionary, acknowledged_at, failed, logs, unread, unseen)


def _log(timeline: Timeline, region: str, rows: Flags, ids: pa.Array) -> Log:
    found = timeline.readback.where(rows)
    place = np.asarray(pc.fill_null(pc.index_in(found.ids.combine_chunks(), value_set=ids), -1).to_numpy(), np.int64)
    ours = place >= 0
    count = np.zeros(len(ids), np.int64)
    np.add.at(count, place[ours], found.count[ours])
    first_read, stale = _first_read(timeline, region), None
    if first_read is not None and (found.t_seen >= 0).all():
        stale = np.full(len(ids), False)
        stale[place[ours & (found.t_seen > first_read)]] = True
    return Log(count, stale, found.ids.filter(pa.array(~ours)).to_pylist())


def _not_stored(writes: Requests) -> Flags:
    turned_down = (writes.status >= 400) & (writes.status < 500)
    return np.asarray(turned_down | writes.error.equals(*_NOT_STORED))


def _absent(ids: pa.ChunkedArray) -> Flags:
    return np.asarray(pc.is_null(ids).to_numpy(), np.bool_)


def _first_read(timeline: Timeline, region: str) -> int | None:
    """When the first reading of the region's log ended (ns); None where that was not noted."""
    for event in timeline.events:
        if event.trial is not None and event.kind == "readback.done" and event.data.get("region") == region:
            first = event.data.get("first_read")
            return first if isinstance(first, int) else None
    return None


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
