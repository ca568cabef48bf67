"""How many recommendations one node makes in half a second when a few are always asked for at once."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any

from drills.targets.base import NODE_HEADER, Target

AT_ONCE = 4
SECONDS = 0.5
LOOK_K = 5


def pace(target: Target, node: str) -> int:
    """How many answers ``node`` gives within half a second, four asked for at a time from the edge.

    A pace, because it tells a starved node from a machine that is busy as a whole better than any single answer: a
    quota is only felt by who needs more than it.
    """
    return asyncio.run(_pace(target.deployment.ops_url, node))


async def _pace(ops_url: str, node: str) -> int:
    import aiohttp  # noqa: PLC0415 - slow to import, and every fault's process imports this module

    async with aiohttp.ClientSession(headers={NODE_HEADER: node}) as session:
        ends = time.monotonic() + SECONDS
        return sum(await asyncio.gather(*(_ask_until(ends, session, ops_url, n) for n in range(AT_ONCE))))


async def _ask_until(ends: float, session: Any, ops_url: str, n: int) -> int:
    """Ask again and again; an answer that comes too late does not count."""
    import aiohttp  # noqa: PLC0415 - the same

    answered, body = 0, {"user": f"recdr-look-{n}", "k": LOOK_K}
    while (left_s := ends - time.monotonic()) > 0:
        limit = aiohttp.ClientTimeout(total=left_s)
        try:
            async with session.post(f"{ops_url}/v1/recommend", json=body, timeout=limit) as answer:
                await answer.read()
                answered += answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(min(max(0.0, ends - time.monotonic()), 0.02))
    return answered
