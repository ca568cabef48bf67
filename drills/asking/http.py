"""HTTP as recdr's asynchronous clients speak it: no cookies, no redirects, nothing that retries or takes for ever."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import aiohttp
from yarl import URL

from drills.asking.service import KEEP_ALIVE_S, MAX_BODY_BYTES, Asked
from drills.asking.templates import with_environment


def open_session(timeout_s: float, headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """A session whose requests end after ``timeout_s`` in all, however slowly an answer drips in.

    Raises UsageError where ``headers`` need an environment variable that is not set.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        # Else aiohttp rounds timeouts of more than 5 s up to whole seconds.
        timeout=aiohttp.ClientTimeout(total=timeout_s, ceil_threshold=math.inf),
        headers={"Accept-Encoding": "identity", **with_environment(headers)},
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    # Else aiohttp sends a GET, PUT or DELETE again, by itself, whose connection broke: a write would come twice, and
    # a failure would be hidden. It offers no public way to say so.
    assert session._retry_connection
    session._retry_connection = False
    return session


async def ask(session: aiohttp.ClientSession, url: str, asked: Asked) -> tuple[aiohttp.ClientResponse, bytes | None]:
    """The answer with its whole body; the body is None where it is too long, and then the rest is not read."""
    async with session.request(
        asked.method, address(url + asked.path), data=asked.body, headers=asked.headers, allow_redirects=False
    ) as answer:
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                answer.close()
                return answer, None
    return answer, bytes(content)


@lru_cache(maxsize=4096)
def address(url: str) -> URL:
    """The address as it is: it has been percent-encoded already."""
    return URL(url, encoded=True)
