"""How long one node takes for a burst of recommendations, asked for all at once past the traffic director's choice."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from drills.targets.base import NODE_HEADER, Target

SIZE = 128
LOOK_K = 5
TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Burst:
    """``took_s``: until the last answer, or failure, had come; ``answered``: with a recommendation."""

    took_s: float
    answered: int

    @property
    def whole(self) -> bool:
        return self.answered == SIZE

    @property
    def text(self) -> str:
        """What was asked for, and how much of it came."""
        return f"{SIZE} recommendations at once" + ("" if self.whole else f" ({self.answered} answered)")


def burst(target: Target, node: str) -> Burst:
    """Ask ``node`` for 128 recommendations at once, from the edge; takes 2 s at most.

    So many, because the reference node needs less than 0.5 ms of processor time for one.
    """
    return asyncio.run(_burst(target.deployment.ops_url, node))


async def _burst(ops_url: str, node: str) -> Burst:
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=limit, headers={NODE_HEADER: node}) as session:
        await asyncio.gather(*(_ask(session, ops_url, n) for n in range(2)))  # what only the first ones pay for
        begin = time.monotonic()
        answered = await asyncio.gather(*(_ask(session, ops_url, n) for n in range(SIZE)))
        return Burst(time.monotonic() - begin, sum(answered))


async def _ask(session: aiohttp.ClientSession, ops_url: str, n: int) -> bool:
    body = {"user": f"recdr-look-{n}", "k": LOOK_K}
    try:
        async with session.post(f"{ops_url}/v1/recommend", json=body) as answer:
            await answer.read()
            return answer.status == HTTPStatus.OK
    except (aiohttp.ClientError, OSError):
        return False
