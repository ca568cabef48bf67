"""A client's connection: HTTP/1.1 by llhttp in its strict form, within limits of size, number and time.

llhttp refuses what requests are smuggled with: a length given twice or beside chunks, bare line feeds, folded or
malformed headers. Around it stand the limits that keep few clients from taking all that a node has. uvicorn's own
protocol has none of them, and half of what it does for a request (a scope, an event, a timer, two messages) nobody here
asks for.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import httptools

from recsvc.exchange import STATUS_LINES, Application, Exchange
from recsvc.problems import CONTENT_TYPE, Problem, not_now

SWEEP_S = 0.5
REST_S = 75.0
"""How long a connection may rest between two requests."""
SPECIAL = re.compile(rb"[?%#]|[^!-~]")
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


class Connection(asyncio.Protocol):
    """``limits``, ``turned`` and ``application`` are the listener's, set on a subclass by `connection_class`.

    It is what `uvicorn.Server` makes of each connection, in place of uvicorn's own protocol. Looks once at each piece
    of bytes and once at each request's headers, not at each header: those calls would cost every request some
    microseconds.
    """

    limits = Limits()
    turned = Turned()
    application: Application

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        """As `uvicorn.Server` calls it; ``server_state`` has the connections and tasks that a stop waits for."""
        del config, app_state, _loop
        self.loop = asyncio.get_running_loop()
        self.connections: set[Any] = server_state.connections
        self.tasks: set[asyncio.Task[None]] = server_state.tasks
        self.parser = httptools.HttpRequestParser(self)
        self.pipeline: deque[Exchange] = deque()
        self.exchange: Exchange | None = None
        """The newest whose headers are complete; the one being answered where nothing is in the pipeline."""
        self.read_paused = self.write_paused = self._in_head = False
        self._drained: asyncio.Future[None] | None = None
        self._why: Problem | None = None
        self._stuck_since_s: float | None = None
        self._resting_since_s: float | None = None
        self._arrived: Exchange | None = None
        """The newest that has arrived whole."""
        self._bytes = 0
        """What has come since the last request's headers were complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.connections.add(self)
        self._waiting_since_s: float | None = self.loop.time()
        if len(self.connections) > self.limits.max_connections:
            self.turned.away += 1
            self._refuse(not_now("too-many-connections", f"At most {self.limits.max_connections} are kept."))

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        for exchange in (self.exchange, *self.pipeline):
            if exchange is not None:
                exchange.lose()
        self.pipeline.clear()
        self.resume_writing()

    def eof_received(self) -> None:
        """Whoever has nothing more to ask does not wait for answers either: the transport closes."""

    def data_received(self, data: bytes) -> None:
        before = self.exchange
        # Also for bytes that begin no message, such as empty lines: else they would keep a connection for ever.
        if self._waiting_since_s is None and (before is None or before.answered):
            self._waiting_since_s = self.loop.time()
        self._resting_since_s = None
        self._bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to nothing we speak: it is answered as if it had not been asked for
        except httptools.HttpParserError:
            self.turned.malformed += 1
            self._refuse(self._why or Problem(400, "not-http", "It cannot be understood, or its length is ambiguous."))
            return
        self._take_stock(before)

    def _take_stock(self, before: Exchange | None) -> None:
        """Hold what has come by now against the limits; ``before``: the newest exchange until then."""
        exchange = self.exchange
        if exchange is not before:
            self._bytes = 0
            if self._in_head:  # half a request behind one that has arrived: its time begins when that is answered
                self._waiting_since_s = None
        if exchange is None or self._in_head:
            if self._bytes > MAX_HEAD_BYTES:
                self._refuse(TOO_LARGE)
        elif exchange.more_body:
            if self._bytes > MAX_WIRE_BYTES:
                self._refuse(Problem(413, "too-large", f"Chunks and trailers have at most {MAX_WIRE_BYTES} bytes."))
        elif exchange is not self._arrived:
            self._arrived, self._waiting_since_s = exchange, None
            if exchange.answered:  # before its body came
                self._resting_since_s = self.loop.time()

    def on_message_begin(self) -> None:
        self._in_head, self._url, self._expects_go_on = True, b"", False
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer, which says nothing that is heeded
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_go_on = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self.parser
        version, method, upgrade = parser.get_http_version(), parser.get_method(), parser.should_upgrade()
        if version not in VERSIONS:
            self._give_up(Problem(400, "not-http", "Only HTTP/1.1 and HTTP/1.0 are spoken."))
        if upgrade and method not in WITHOUT_BODY:
            # llhttp would hand on the body as another protocol's bytes, a proxy before it as this request's.
            self._give_up(Problem(400, "not-http", "No other protocol is spoken: leave Upgrade out."))
        if len(self.headers) > MAX_HEADERS or len(self._url) > MAX_TARGET_BYTES:
            self._give_up(TOO_LARGE)
        if self._bytes > MAX_HEADER_BYTES and sum(len(n) + len(v) + 4 for n, v in self.headers) > MAX_HEADER_BYTES:
            self._give_up(TOO_LARGE)
        self._in_head = False
        self._expects_go_on = self._expects_go_on and version != "1.0"
        # What came with an upgrade in one piece is lost to us: say that there is no more.
        self._begin(method.decode("ascii"), keep_alive=version != "1.0" and not upgrade and parser.should_keep_alive())

    def _begin(self, method: str, *, keep_alive: bool) -> None:
        path, query = self._target()
        before = self.exchange
        self.exchange = exchange = Exchange(
            self,
            method=method,
            path=path,
            query=query,
            headers=self.headers,
            keep_alive=keep_alive,
            expects_go_on=self._expects_go_on,
        )
        if before is None or before.answered:
            self._start(exchange)
        else:  # pipelined: its turn comes when those before it are answered
            if len(self.pipeline) >= MAX_PIPELINED:
                self._give_up(TOO_MANY)
            self._pause_reading()
            self.pipeline.append(exchange)

    def _target(self) -> tuple[str, bytes]:
        """Path and query; most targets are a path and nothing else."""
        if self._url.startswith(b"/") and not SPECIAL.search(self._url):
            return self._url.decode("ascii"), b""
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        return unquote(path) if "%" in path else path, url.query or b""

    def on_body(self, body: bytes) -> None:
        if self.exchange is not None:
            self.exchange.add(body)

    def on_message_complete(self) -> None:
        """Also of what was answered before its body came: it has arrived, and is not waited for."""
        if self.exchange is not None:
            self.exchange.complete()

    def _start(self, exchange: Exchange) -> None:
        # A task is only kept alive by who holds it.
        self.tasks.add(self.loop.create_task(self._serve(exchange)))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self.application(exchange)
        finally:
            self.tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            if not exchange.answered and not exchange.gone:  # it was cancelled
                self.transport.close()

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():  # by the client, perhaps while others of its requests wait here
            self.transport.write(data)

    def ended(self, exchange: Exchange) -> None:
        """The next one's turn; nothing more is read while requests wait, and it resumes at the last one's answer."""
        if not exchange.keep_alive:
            self.transport.close()
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start(self.pipeline.popleft())
        self.read_on()
        newest = self.exchange
        if self._in_head or (newest is not None and newest.more_body):
            # What came while answers were owed: only now is it the client that is waited for.
            self._waiting_since_s = self._waiting_since_s or self.loop.time()
        elif newest is not None and newest.answered:
            self._resting_since_s = self.loop.time()

    def read_on(self) -> None:
        if self.read_paused and not self.pipeline:
            self.read_paused = False
            self.transport.resume_reading()

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        self.write_paused = True
        self._drained = self.loop.create_future()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def writable(self) -> None:
        if self._drained is not None:
            await asyncio.shield(self._drained)

    def shutdown(self) -> None:
        """The server stops: end when what is being answered is answered."""
        if self.exchange is None or self.exchange.answered:
            self.transport.close()
        else:
            self.exchange.keep_alive = False

    def sweep(self, now_s: float) -> None:
        """End the connection if its request does not arrive, or its answer is not taken, in time."""
        if self._waiting_since_s is not None and now_s - self._waiting_since_s > self.limits.request_s:
            self._waiting_since_s = None
            self.turned.slow += 1
            self._too_slow()
        if self._resting_since_s is not None and now_s - self._resting_since_s > REST_S:
            self.transport.close()
        stuck = self.transport.is_closing() or self.write_paused
        self._stuck_since_s = (self._stuck_since_s or now_s) if stuck else None
        if self._stuck_since_s is not None and now_s - self._stuck_since_s > self.limits.request_s:
            self.transport.abort()

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
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
        self.transport.write(STATUS_LINES[problem.status] + head + body)
        self.transport.close()


def connection_class(limits: Limits, turned: Turned, application: Application) -> type[Connection]:
    """What a listener with these limits makes of each connection."""
    # A function in a class would become a method.
    members = {"limits": limits, "turned": turned, "application": staticmethod(application)}
    return type("LimitedConnection", (Connection,), members)


async def keep_sweeping(connections: set[Any], period_s: float = SWEEP_S) -> None:
    """Look at every connection twice a second until cancelled; one timer for all instead of one a request."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(period_s)
        for connection in list(connections):
            connection.sweep(loop.time())
