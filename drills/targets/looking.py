"""Looks at a service as its clients do: one request by each way, and what came of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from drills.asking.service import HTTP, UNREADABLE, Door, Seen, Unreadable, decoded
from drills.targets.base import EDGE, Deployment

TIMEOUT_S = 2.0
LOOK_K = 5
AT_ONCE = 4


@dataclass(frozen=True)
class Way:
    """A way in: through the edge or through a region's door, with a read (``recommend``) or a write (``event``)."""

    place: str
    op: str

    def __str__(self) -> str:
        what = {"recommend": "a read", "event": "a write", "search": "a search"}[self.op]
        return f"{what} through the {'edge' if self.place == EDGE else f'door of {self.place}'}"


@dataclass(frozen=True)
class Look:
    """What came of one request. ``error`` None: it was answered as it should be, by ``region`` if that can be told.

    ``misfit`` is what a whole JSON answer lacks that the drill says is in it; None where nothing is, or no such came.
    """

    error: str | None
    region: str | None = None
    misfit: str | None = None


def look(deployment: Deployment, ops: tuple[str, ...] = ("recommend", "event")) -> dict[Way, Look]:
    """Ask once by every way there is, all at the same time, for at most 2 s; standbys need take no writes."""
    return asyncio.run(_look(deployment, ops))


def look_often(deployment: Deployment, ops: tuple[str, ...], times: int) -> Iterator[dict[Way, Look]]:
    """Look ``times`` times, four at once: a service far away takes its time for each."""
    for begin in range(0, times, AT_ONCE):
        yield from asyncio.run(_look_at_once(deployment, ops, min(AT_ONCE, times - begin)))


async def _look_at_once(deployment: Deployment, ops: tuple[str, ...], times: int) -> list[dict[Way, Look]]:
    return await asyncio.gather(*(_look(deployment, ops) for _ in range(times)))


async def _look(deployment: Deployment, ops: tuple[str, ...]) -> dict[Way, Look]:
    ways = [Way(EDGE, op) for op in ops] + [Way(door, "recommend") for door in deployment.doors]
    ways = [way for way in ways if _can_ask(deployment, way)]
    return dict(zip(ways, await asyncio.gather(*(_ask(deployment, way) for way in ways)), strict=True))


def _can_ask(deployment: Deployment, way: Way) -> bool:
    ask = deployment.service.ask_of(way.op)
    return ask is not None and {"item", "query"} & ask.names <= deployment.sample.keys()


async def _ask(deployment: Deployment, way: Way) -> Look:
    import aiohttp  # noqa: PLC0415 - slow to import, and every fault's process imports this module

    from drills.asking.http import ask, open_session  # noqa: PLC0415 - the same

    service, door = deployment.service, deployment.doors.get(way.place, Door(deployment.edge_url))
    question = service.ask_of(way.op)
    assert question is not None
    # No id of a trial begins like this, so the read-back does not take it for one of the drill's events.
    number = f"look-{secrets.token_hex(8)}"
    values: dict[str, str | int] = {"id": number, "prefix": number, "n": 0, "k": LOOK_K}
    try:
        async with open_session(TIMEOUT_S, door.headers) as session:
            answer, content = await ask(session, door.url, question.render(**{**values, **deployment.sample}))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Look("no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}")
    seen = service.seen(way.op, answer.status, answer.headers, content, LOOK_K)
    misfit = _misfit(seen, content) if seen.error == UNREADABLE else None
    return Look(f"HTTP {answer.status}" if seen.error == HTTP else seen.error, seen.region, misfit)


def _misfit(seen: Seen, content: bytes | None) -> str | None:
    """What a JSON answer lacks, by the drill's key; None for a page of HTML: a service may send that for a while."""
    try:
        decoded(content or b"")
    except Unreadable:
        return None
    return seen.why
