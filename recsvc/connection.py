"""A client's connection: HTTP/1.1 by llhttp in its strict form, within limits of size, number and time.

llhttp refuses what requests are smuggled with: a length given twice or beside chunks, bare line feeds, folded or
malformed headers. uvicorn's protocol adds no limits of its own; these are the ones that keep few clients from taking
all that a node has.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from recsvc.exchange import Exchange
from recsvc.problems import CONTENT_TYPE, Problem, not_now

SWEEP_S = 0.5
MAX_TARGET_BYTES = 4 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADERS = 64
VERSIONS = frozenset(("1.1", "1.0"))
WITHOUT_BODY = frozenset((b"GET", b"HEAD"))


@dataclass(frozen=True)
class Limits:
    """``request_s``: how long a request may take to arrive, from its first byte (or the connection's) to its last."""

    max_connections: int = 2048
    request_s: float = 10.0


@dataclass
class Turned:
    """How many connections were turned away, and how many requests were too slow or no HTTP."""

    away: int = 0
    slow: int = 0
    malformed: int = 0


class Connection(HttpToolsProtocol):
    """``limits`` and ``turned`` are the listener's, set on a subclass by `connection_class`."""

    limits = Limits()
    turned = Turned()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._why: Problem | None = None
        self._waiting_since_s: float | None = self.loop.time()
        self._stuck_since_s: float | None = None
        if len(self.connections) > self.limits.max_connections:
            self.turned.away += 1
            self._refuse(not_now("too-many-connections", f"At most {self.limits.max_connections} are kept."))

    def data_received(self, data: bytes) -> None:
        # Also for bytes that begin no message, such as empty lines: else they would keep a connection for ever.
        if self._waiting_since_s is None and (self.cycle is None or self.cycle.response_complete):
            self._waiting_since_s = self.loop.time()
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            self._give_up(
                Problem(431, "header-too-large", f"A path with its query has at most {MAX_TARGET_BYTES} bytes.")
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > MAX_HEADER_BYTES or len(self.headers) > MAX_HEADERS:
            limits = f"At most {MAX_HEADERS} headers with {MAX_HEADER_BYTES} bytes are taken."
            self._give_up(Problem(431, "header-too-large", limits))

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in VERSIONS:
            self._give_up(Problem(400, "not-http", "Only HTTP/1.1 and HTTP/1.0 are spoken."))
        if self.parser.should_upgrade() and self.parser.get_method() not in WITHOUT_BODY:
            # llhttp would hand on the body as another protocol's bytes, a proxy before it as this request's.
            self._give_up(Problem(400, "not-http", "No other protocol is spoken: leave Upgrade out."))
        self._begin()

    def _begin(self) -> None:
        """uvicorn's `on_headers_complete`, without WebSockets and a root path, and with our own exchange."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version = self.parser.get_http_version()
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"], self.scope["query_string"] = url.path, url.query or b""
        before, keep_alive = self.cycle, version != "1.0" and self.parser.should_keep_alive()
        self.cycle = Exchange(self, keep_alive=keep_alive)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # pipelined: its turn comes when those before it are answered
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        self._waiting_since_s = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or was given up while it was parsed."""
        self.turned.malformed += 1
        self._refuse(self._why or Problem(400, "not-http", "It cannot be understood, or its length is ambiguous."))

    def sweep(self, now_s: float) -> None:
        """End the connection if its request does not arrive, or its answer is not taken, in time."""
        if self._waiting_since_s is not None and now_s - self._waiting_since_s > self.limits.request_s:
            self._waiting_since_s = None
            self.turned.slow += 1
            self._too_slow()
        stuck = self.transport.is_closing() or (self.flow is not None and self.flow.write_paused)
        self._stuck_since_s = (self._stuck_since_s or now_s) if stuck else None
        if self._stuck_since_s is not None and now_s - self._stuck_since_s > self.limits.request_s:
            self.transport.abort()

    def _too_slow(self) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._refuse(Problem(408, "too-slow", f"A request has to arrive within {self.limits.request_s:g} s."))

    def _give_up(self, why: Problem) -> None:
        self._why = why
        raise ValueError(why.kind)  # out of llhttp, which then calls it malformed

    def _refuse(self, problem: Problem) -> None:
        body = problem.body()
        retry = b"retry-after: %d\r\n" % problem.retry_after_s if problem.retry_after_s is not None else b""
        head = b"content-type: %b\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n" % (
            CONTENT_TYPE,
            len(body),
            retry,
        )
        self.transport.write(STATUS_LINE[problem.status] + head + body)
        self.transport.close()


def connection_class(limits: Limits, turned: Turned) -> type[Connection]:
    """What a listener with these limits makes of each connection."""
    return type("LimitedConnection", (Connection,), {"limits": limits, "turned": turned})


async def keep_sweeping(connections: set[Any], period_s: float = SWEEP_S) -> None:
    """Look at every connection twice a second until cancelled; one timer for all instead of one a request."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(period_s)
        for connection in list(connections):
            connection.sweep(loop.time())
