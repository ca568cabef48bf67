"""A user's way to the service under gevent: one connection, no redirects, no cookies, a limit on the whole exchange."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass

import gevent
from geventhttpclient.client import HTTPClient
from geventhttpclient.url import URL

from drills.asking.service import KEEP_ALIVE_S, MAX_BODY_BYTES, Asked

_BLOCK = 64 * 1024
_COMPRESSED = ("gzip", "deflate", "x-gzip")


class Headers(dict[str, str]):
    """Headers by lower-case name, found under any."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)


@dataclass(frozen=True)
class Answer:
    """What came back: ``status`` 0 with an ``error`` where nothing whole did; ``content`` None if it was too long."""

    t_sent: int
    t_done: int
    status: int
    headers: Headers
    content: bytes | None
    error: str | None = None


class Sender:
    """Sends one request after the other, each once."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        url = URL(base_url)
        self._base = url
        self._path = url.path.rstrip("/")
        self._timeout_s = timeout_s
        self._used = time.monotonic_ns()
        self._client = self._new_client()

    def send(self, asked: Asked) -> Answer:
        """Send and wait for the whole answer, at most ``timeout_s``; never raises for what the service does."""
        if time.monotonic_ns() - self._used > KEEP_ALIVE_S * 1e9:
            self._renew()
        sent = time.monotonic_ns()
        limit = gevent.Timeout(self._timeout_s)
        try:
            with limit:
                status, headers, content = self._exchange(asked)
            self._used = time.monotonic_ns()
            return Answer(sent, self._used, status, headers, content)
        except gevent.Timeout as caught:
            if caught is not limit:
                raise
            return self._failed(sent, "timeout")
        except Exception as error:  # what a service under test makes of HTTP knows no bounds
            return self._failed(sent, _kind_of(error))

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _exchange(self, asked: Asked) -> tuple[int, Headers, bytes | None]:
        response = self._client.request(
            asked.method, self._path + asked.path, body=asked.body or b"", headers=dict(asked.headers)
        )
        content = bytearray()
        while chunk := response.read(_BLOCK):
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                self._renew()
                break
        headers = Headers({name.lower(): value for name, value in response.items()})
        return response.get_code(), headers, _plain(bytes(content), headers.get("content-encoding"))

    def _failed(self, sent: int, error: str) -> Answer:
        """A connection that was given up half-way must not carry another request."""
        done = time.monotonic_ns()
        self._renew()
        return Answer(sent, done, 0, Headers(), b"", error)

    def _renew(self) -> None:
        self._client.close()
        self._client = self._new_client()

    def _new_client(self) -> HTTPClient:
        client = HTTPClient.from_url(
            self._base,
            concurrency=1,
            connection_timeout=self._timeout_s,
            network_timeout=self._timeout_s,
            headers={"Accept-Encoding": "identity"},
        )
        # Else it sends a GET, PUT or DELETE again, by itself, whose connection broke; it takes one attempt more than
        # its pool has connections, and the pool asks for its size no more once it is made.
        client._connection_pool.size = -1
        return client


def _plain(content: bytes, encoding: str | None) -> bytes | None:
    """The content as it was meant, also from a service that compresses unasked; None where it is too long."""
    if encoding in _COMPRESSED and content:
        content = zlib.decompressobj(wbits=47).decompress(content, MAX_BODY_BYTES + 1)
    return content if len(content) <= MAX_BODY_BYTES else None


def _kind_of(error: Exception) -> str:
    words = f"{type(error).__name__} {error}".lower()
    kinds = {"timed out": "timeout", "timeout": "timeout", "refused": "refused", "unreachable": "unreachable"}
    kinds |= {"reset": "reset", "closed": "reset", "broken pipe": "reset", "incomplete": "reset"}
    return next((kind for word, kind in kinds.items() if word in words), "other")
