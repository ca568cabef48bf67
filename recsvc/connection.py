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
MAX_HEAD_BYTES = MAX_TARGET_BYTES + MAX_HEADER_BYTES
"""Of a request whose headers are not complete."""
MAX_PIPELINED = 64
"""Requests behind the one being answered: a single read may bring thousands, each a hundred times its size here."""
MAX_WIRE_BYTES = 512 * 1024
"""Of the rest: a body in chunks of one byte takes six times its size, and trailers are kept too."""
TOO_LARGE = Problem(
    431,
    "header-too-large",
    f"A path with its query has at most {MAX_TARGET_BYTES} bytes, {MAX_HEADERS} headers {MAX_HEADER_BYTES}.",
)
TOO_MANY = not_now("too-many-pipelined", f"At most {MAX_PIPELINED} requests may be sent ahead of their answers.")
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
    """``limits`` and ``turned`` are the listener's, set on a subclass by `connection_class`.

    Looks once at each piece of bytes and once at each request's headers, not at each header: those calls would
    cost every request some microseconds.
    """

    limits = Limits()
    turned = Turned()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._why: Problem | None = None
        self._waiting_since_s: float | None = self.loop.time()
        self._stuck_since_s: float | None = None
        self._arrived: object = None
        """The newest request that has arrived whole."""
        self._bytes = 0
        """What has come since the last request's headers were complete."""
        if len(self.connections) > self.limits.max_connections:
            self.turned.away += 1
            self._refuse(not_now("too-many-connections", f"At most {self.limits.max_connections} are kept."))

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        # Also for bytes that begin no message, such as empty lines: else they would keep a connection for ever.
        if self._waiting_since_s is None and (before is None or before.response_complete):
            self._waiting_since_s = self.loop.time()
        self._bytes += len(data)
        HttpToolsProtocol.data_received(self, data)
        cycle = self.cycle
        if cycle is not before:
            self._bytes = 0
        if cycle is None or cycle.scope is not self.scope:  # the headers are not complete
            if self._bytes > MAX_HEAD_BYTES:
                self._refuse(TOO_LARGE)
        elif cycle.more_body:
            if self._bytes > MAX_WIRE_BYTES:
                self._refuse(Problem(413, "too-large", f"Chunks and trailers have at most {MAX_WIRE_BYTES} bytes."))
        elif cycle is not self._arrived:
            self._arrived, self._waiting_since_s = cycle, None

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in VERSIONS:
            self._give_up(Problem(400, "not-http", "Only HTTP/1.1 and HTTP/1.0 are spoken."))
        if self.parser.should_upgrade() and self.parser.get_method() not in WITHOUT_BODY:
            # llhttp would hand on the body as another protocol's bytes, a proxy before it as this request's.
            self._give_up(Problem(400, "not-http", "No other protocol is spoken: leave Upgrade out."))
        if len(self.headers) > MAX_HEADERS or len(self.url) > MAX_TARGET_BYTES:
            self._give_up(TOO_LARGE)
        if self._bytes > MAX_HEADER_BYTES and sum(len(n) + len(v) + 4 for n, v in self.headers) > MAX_HEADER_BYTES:
            self._give_up(TOO_LARGE)
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
        if self.parser.should_upgrade():  # what came with it in one piece is lost to us: say that there is no more
            keep_alive = False
        self.cycle = Exchange(self, keep_alive=keep_alive)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # pipelined: its turn comes when those before it are answered
            if len(self.pipeline) >= MAX_PIPELINED:
                self._give_up(TOO_MANY)
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        """As uvicorn's, but what was answered before its body came has arrived, too, and is not waited for."""
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """As uvicorn's, but nothing more is read while requests wait: it resumes at each answer."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

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
        if self.transport.is_closing():
            return
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
