"""What became of every event that was sent: the account an RPO rests on, counted from the record itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reports import cleaning
from reports.columns import NS, Requests

_COLUMNS = {"trial": pa.int64(), "region": pa.string(), "id": pa.string(), "count": pa.int64()}
_SCHEMA = pa.schema(list(_COLUMNS.items()))

Found = dict[int, dict[str, dict[str, int]]]
"""trial -> region -> event id -> how often it stands in that region's log."""


@dataclass(frozen=True)
class Region:
    """One region's log held against what clients were told; counts are of events."""

    name: str
    acknowledged_here: int
    read_back: bool
    why_not: str
    found: int = 0
    missing: int = 0
    duplicated: int = 0
    recovered: int = 0
    unexpected: int = 0


@dataclass(frozen=True)
class Account:
    """All events of a trial. ``lost`` is None where some region was not read back: absence proves nothing.

    An event is lost if a region that was read back lacks it; ``nowhere`` are those that no region has.
    ``oldest_lost`` was acknowledged first, ``oldest_age_s`` before the fault (negative: after it).
    """

    sent: int
    acknowledged: int
    unacknowledged: int
    lost: int | None
    not_found: int
    nowhere: int
    lost_ids: tuple[str, ...]
    oldest_lost: str
    oldest_age_s: float | None
    duplicated: int
    recovered: int
    unexpected: int
    regions: tuple[Region, ...]

    @property
    def read_back(self) -> bool:
        return bool(self.regions) and all(region.read_back for region in self.regions)


def read(path: Path) -> Found:
    """Read ``readback.parquet``. Raises OSError or pyarrow.ArrowException where it is missing or damaged."""
    table = pq.read_table(path, columns=list(_COLUMNS))
    if lacking := set(_COLUMNS) - set(table.column_names):
        raise pa.ArrowInvalid(f"it has no column {', '.join(sorted(lacking))}")
    table = table.select(list(_COLUMNS)).cast(_SCHEMA)
    table = table.filter(pc.field("trial").is_valid() & pc.field("region").is_valid() & pc.field("id").is_valid())
    regions = table["region"].unique()
    # Sorted by trial and region, each log is one slice: a loop over the rows takes ten times as long.
    log = table["trial"].to_numpy() * max(1, len(regions)) + pc.index_in(table["region"], regions).to_numpy()
    order = np.argsort(log, kind="stable")
    ids, counts = table["id"].take(order).to_pylist(), pc.fill_null(table["count"], 0).to_numpy()[order].tolist()
    logs, begins = np.unique(log[order], return_index=True)
    found: Found = {}
    for number, begin, end in zip(logs.tolist(), begins, [*begins[1:], len(order)], strict=True):
        trial, region = divmod(number, len(regions))
        own = found.setdefault(trial, {}).setdefault(cleaning.text(regions[region].as_py()), {})
        own.update(zip(ids[begin:end], counts[begin:end], strict=True))
    return found


def account(
    requests: Requests,
    found: dict[str, dict[str, int]],
    done: set[str],
    failed: dict[str, str],
    ever_sent: set[str],
    *,
    injected: int | None = None,
) -> Account:
    """Hold the trial's writes against what was read back.

    ``done`` and ``failed`` (region -> why) are regions whose log was read or could not be; ``ever_sent`` are
    the ids of the whole run: the logs of a lab that stays hold earlier trials' events too. ``injected``: when (ns).
    """
    events = requests.where(requests.write & requests.sent)
    named = [(event, bool(ok)) for event, ok in zip(events.ids.to_pylist(), events.ok, strict=True) if event]
    ids = _Ids({event for event, _ in named}, {event for event, ok in named if ok}, ever_sent)
    here = {name: int((events.ok & (events.region == code)).sum()) for code, name in enumerate(events.regions)}
    anywhere = {event for log in found.values() for event in log}
    twice = {event for log in found.values() for event, count in log.items() if count > 1}
    names = sorted({*here, *found, *done, *failed}, key=lambda name: (name != "primary", name))
    read_back = {name for name in names if name not in failed and (name in done or name in found)}
    not_found = {event for name in read_back for event in ids.acked - found.get(name, {}).keys()}
    by_age = _by_age(events, not_found)
    regions = [
        _region(name, here.get(name, 0), found.get(name, {}), ids)
        if name in read_back
        else Region(name, here.get(name, 0), False, failed.get(name, "no read-back was recorded"))
        for name in names
    ]
    return Account(
        sent=len(ids.sent),
        acknowledged=len(ids.acked),
        unacknowledged=len(ids.sent - ids.acked),
        lost=len(not_found) if names and len(read_back) == len(names) else None,
        not_found=len(not_found),
        nowhere=len(not_found - anywhere),
        lost_ids=tuple(cleaning.text(event) for _, event in by_age[:20]),
        oldest_lost=cleaning.text(by_age[0][1]) if by_age else "",
        oldest_age_s=(injected - by_age[0][0]) / NS if by_age and injected is not None else None,
        duplicated=len(twice),
        recovered=len((ids.sent - ids.acked) & anywhere),
        unexpected=len(anywhere - ever_sent),
        regions=tuple(regions),
    )


def _by_age(events: Requests, chosen: set[str]) -> list[tuple[int, str]]:
    """When each of the chosen events was first acknowledged (ns), the oldest first."""
    when: dict[str, int] = {}
    for event, ok, done in zip(events.ids.to_pylist(), events.ok, events.done, strict=True):
        if ok and event in chosen:
            when[event] = min(int(done), when.get(event, int(done)))
    return sorted((t, event) for event, t in when.items())


def _duplicates(log: dict[str, int]) -> int:
    """Events that stand in the log more than once (not how many copies too many)."""
    return sum(count > 1 for count in log.values())


@dataclass(frozen=True)
class _Ids:
    sent: set[str]
    acked: set[str]
    ever_sent: set[str]


def _region(name: str, here: int, log: dict[str, int], ids: _Ids) -> Region:
    found = len(ids.acked & log.keys())
    return Region(
        name=name,
        acknowledged_here=here,
        read_back=True,
        why_not="",
        found=found,
        missing=len(ids.acked) - found,
        duplicated=_duplicates(log),
        recovered=len(ids.sent & log.keys()) - found,
        unexpected=len(log) - len(ids.ever_sent & log.keys()),
    )


def sent_ids(requests: Requests) -> set[str]:
    """Ids of every event sent in the run, answered or not."""
    return {event for event in requests.where(requests.write & requests.sent).ids.to_pylist() if event is not None}
