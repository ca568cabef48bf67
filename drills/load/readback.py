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

    Replication may still be catching up when the clients have stopped, so the regions are read until two readings in
    a row agree, at most for 15 s. A region that cannot be read is noted as such, never as empty.
    """
    rows = []
    for region in REGIONS:
        try:
            found = _settled(deployment, region, prefix)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            events.write("readback.failed", region=region, why=f"{type(error).__name__}: {error}")
            continue
        events.write("readback.done", region=region, found=len(found))
        rows += [ReadBack(trial=trial, region=region, id=number, count=n) for number, n in sorted(found.items())]
    return rows


def _settled(deployment: Deployment, region: str, prefix: str) -> Counter[str]:
    deadline = time.monotonic() + CATCH_UP_S
    found = _count(deployment, region, prefix)
    while time.monotonic() < deadline:
        time.sleep(0.3)
        again = _count(deployment, region, prefix)
        if again == found:
            break
        found = again
    return found


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
