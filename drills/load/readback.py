"""After healing: read every region's event log and note which events of a trial stand in it, and how often."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import httpx

from drills.errors import TargetError
from drills.record import EventWriter, ReadBack
from drills.targets.base import REGION_HEADER, REGIONS, Deployment

PAGE = 1000
CATCH_UP_S = 15.0


def read_back(deployment: Deployment, prefix: str, trial: int, events: EventWriter) -> list[ReadBack]:
    """One row an event id and region, for ids that begin with ``prefix``.

    Replication may still be catching up when the clients have stopped, so the regions are read until they agree, at
    most for 15 s. What they differ in then is what was lost, unless a region's log is still growing: that one, and one
    that cannot be read, is noted as not read back, never as empty.
    """
    deadline = time.monotonic() + CATCH_UP_S
    before, now = {}, _read_all(deployment, prefix)
    while time.monotonic() < deadline and not _agree(now):
        time.sleep(0.3)
        before, now = now, _read_all(deployment, prefix)
    rows = []
    for region, found in now.items():
        if isinstance(found, str):
            events.write("readback.failed", region=region, why=found)
        elif not _agree(now) and before.get(region) != found:
            events.write("readback.failed", region=region, why=f"its log was still changing after {CATCH_UP_S:.0f} s")
        else:
            events.write("readback.done", region=region, found=len(found))
            rows += [ReadBack(trial=trial, region=region, id=number, count=n) for number, n in sorted(found.items())]
    return rows


Reading = Counter[str] | str
"""How often each id stands in a region's log, or why that cannot be told."""


def _read_all(deployment: Deployment, prefix: str) -> dict[str, Reading]:
    found: dict[str, Reading] = {}
    for region in REGIONS:
        try:
            found[region] = _count(deployment, region, prefix)
        except (httpx.HTTPError, TargetError, KeyError, ValueError) as error:
            found[region] = f"{type(error).__name__}: {error}"
    return found


def _agree(readings: dict[str, Reading]) -> bool:
    first, *others = readings.values()
    return not isinstance(first, str) and all(other == first for other in others)


def _count(deployment: Deployment, region: str, prefix: str) -> Counter[str]:
    return Counter(number for number in _log(deployment, region) if number.startswith(prefix))


def _log(deployment: Deployment, region: str) -> Iterator[str]:
    """Every event id in the region's own log, in stored order."""
    cursor: str | None = "0"
    with httpx.Client(base_url=deployment.ops_url, headers={REGION_HEADER: region}, timeout=5.0) as client:
        while cursor:
            answer = client.get("/v1/events", params={"after": cursor, "limit": PAGE})
            answer.raise_for_status()
            if answer.headers.get("X-Recsvc-Region") != region:
                raise TargetError(f"asked {region} for its log, {answer.headers.get('X-Recsvc-Region')} answered")
            page = answer.json()
            yield from (event["id"] for event in page["events"])
            cursor = page["next"]
