"""A scripted service in a process of its own: it speaks recsvc's paths and headers and misbehaves exactly as told.

    python -m drills.calibration.server CONFIG.json

It is told over an inherited socket, one JSON line a script (a list of ``Stretch``), and answers each with the ``Edges``
at which it really happened. It keeps its own books, so that a measure can be held against what was, not against what
was asked for. Its end: the other end of that socket closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from drills.calibration import shop
from drills.calibration.books import SECOND, Edges, Entry, Served, Stall, Stretch
from drills.targets.base import REGION_HEADER, REGIONS

# The event loop wakes up to 1 ms late of itself; the rest of the way to an edge is waited out awake.
SPIN_NS = 2_000_000
BEAT_S = 0.01
STALL_NS = 5_000_000
SHOWN_AFTER_NS = SECOND
"""How long after a region was first asked for its log it shows what it ``delays``."""
BRIGHT = Stretch()


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """Where the books go, and the inherited socket over which scripts come."""

    books: str
    control: int


class Server:
    """Answers requests in the manner of the current stretch, and notes each in its books."""

    def __init__(self, books: Path) -> None:
        self.stretch = BRIGHT
        self._books = books.open("ab")
        self._encode = msgspec.json.Encoder().encode
        self._counts: Counter[str] = Counter()
        self._back = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._logs: dict[str, list[tuple[str, bool]]] = {region: [] for region in REGIONS}
        self._first_asked: dict[str, int] = defaultdict(time.monotonic_ns)

    async def listen(self) -> int:
        """Start serving on a free port of 127.0.0.1 and return it."""
        self._socket = _bound(0)
        self.port = int(self._socket.getsockname()[1])
        self._server = await asyncio.start_server(self._converse, sock=self._socket)
        return self.port

    def close(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self._books.flush()

    async def perform(self, script: list[Stretch]) -> Edges:
        """Go through the stretches, each begun exactly when the one before has lasted its time; then be bright."""
        edges: list[int] = []
        late, planned = 0, time.monotonic_ns() + 2 * SPIN_NS
        for stretch in (*script, BRIGHT):
            await _until(planned)
            edges.append(await self._turn(stretch))
            late = max(late, edges[-1] - planned, time.monotonic_ns() - edges[-1])
            planned = edges[-1] + round(stretch.seconds * SECOND)
        self._books.flush()
        return Edges(edges, late)

    async def watch_itself(self) -> None:
        """Note in the books when this process was held up: what it did then is not what was scripted."""
        while True:
            due = time.monotonic_ns() + round(BEAT_S * SECOND)
            await asyncio.sleep(BEAT_S)
            if (late := time.monotonic_ns() - due) > STALL_NS:
                self._note(Stall(due, late))

    async def _turn(self, stretch: Stretch) -> int:
        """Leave one manner and take on the next; when that was (ns)."""
        before, self.stretch = self.stretch, stretch
        self._counts.clear()
        if stretch.manner == "refuses":
            self._server.close()
            for writer in list(self._writers):
                _reset(writer)
            self._socket = _bound(self.port)
        if before.manner == "refuses":
            self._socket.listen(512)
        now = time.monotonic_ns()
        back, self._back = self._back, asyncio.Event()
        back.set()
        if before.manner == "refuses":
            self._server = await asyncio.start_server(self._converse, sock=self._socket)
        return now

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                body = await reader.readexactly(_length(head))
                if head.startswith("GET"):
                    writer.write(self._log(head))
                else:
                    await self._serve(head, body, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, head: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request in the manner of the moment at which it arrived."""
        arrived, asked = time.monotonic_ns(), msgspec.json.decode(body)
        served = Served(t_arrived=arrived, stream=_stream(head, asked), id=asked.get("id") or asked["user"])
        concerned = self._counts[served.stream] % self.stretch.every == 0
        self._counts[served.stream] += 1
        stretch, back = self.stretch if concerned else BRIGHT, self._back
        try:
            if stretch.manner == "drops":
                return
            if stretch.manner == "holds":
                await back.wait()
            if stretch.manner == "slow":
                await asyncio.sleep(stretch.delay_s)
            if not reader.at_eof():
                self._answer(served, asked, stretch, writer)
        finally:
            self._note(served)

    def _answer(self, served: Served, asked: dict[str, Any], stretch: Stretch, writer: asyncio.StreamWriter) -> None:
        content: object = {"acknowledged": True}
        if served.stream == "probe_write":
            self._store(served, stretch)
        else:
            degraded = stretch.manner == "degraded"
            served.hits = shop.hits(asked["user"], degraded=degraded)
            items = shop.listed(asked["user"], degraded=degraded)
            content = {"items": items, "scores": [1 / (n + 1) for n in range(len(items))]}
        served.status = 503 if stretch.manner in ("errors", "hides") else 200
        served.t_answered = time.monotonic_ns()
        writer.write(_response(served.status, served.region, content))

    def _store(self, served: Served, stretch: Stretch) -> None:
        """Put a write into the regions' logs, as often as the manner of the moment has it."""
        copies = {"loses": 0, "doubles": 2}.get(stretch.manner, 1)
        if stretch.manner == "errors":
            return
        if stretch.manner == "splits":
            served.region = REGIONS[self._counts["splits"] % 2]
            self._counts["splits"] += 1
        for region, log in self._logs.items():
            meant = region in stretch.regions
            served.copies[region] = copies if meant else 1
            served.delayed |= meant and stretch.manner == "delays"
            log.extend([(str(served.id), meant and stretch.manner == "delays")] * served.copies[region])

    def _log(self, head: str) -> bytes:
        """One page of a region's log."""
        asked = parse_qs(urlsplit(head.split(" ", 2)[1]).query)
        after, limit, region = int(asked["after"][0]), int(asked["limit"][0]), _header(head, REGION_HEADER)
        shows_all = time.monotonic_ns() - self._first_asked[region] > SHOWN_AFTER_NS
        shown = [id_ for id_, delayed in self._logs[region] if shows_all or not delayed]
        following = str(after + limit) if after + limit < len(shown) else None
        page = {"events": [{"id": id_} for id_ in shown[after : after + limit]], "next": following}
        return _response(200, region, page)

    def _note(self, entry: Entry) -> None:
        self._books.write(self._encode(entry) + b"\n")


async def _until(moment: int) -> None:
    await asyncio.sleep(max(0, moment - SPIN_NS - time.monotonic_ns()) / SECOND)
    while time.monotonic_ns() < moment:
        pass


def _stream(head: str, asked: dict[str, Any]) -> str:
    if head.startswith("POST /v1/events"):
        return "probe_write"
    return "quality" if asked["user"].startswith("h") else "probe_read"


def _length(head: str) -> int:
    return int(_header(head, "Content-Length") or 0)


def _header(head: str, name: str) -> str:
    """The value of a header; empty where the request has none."""
    return head.lower().partition(f"\r\n{name.lower()}:")[2].partition("\r\n")[0].strip()


def _response(status: int, region: str, document: object) -> bytes:
    content = msgspec.json.encode(document)
    return (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Service Unavailable'}\r\nContent-Type: application/json\r\n"
        f"X-Recsvc-Region: {region}\r\nX-Recsvc-Node: {region}/node-1\r\nX-Recsvc-Model: scripted\r\n"
        f"X-Recsvc-Degraded: 0\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def _bound(port: int) -> socket.socket:
    """A socket with the address, not listening yet: until it does, connections to it are refused."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a process that dies does, so that no request lingers half-way."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def run(config: Config) -> None:
    """Serve, and perform what comes over the control socket, until its other end closes."""
    server = Server(Path(config.books))
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=config.control))
    writer.write(b"%d\n" % await server.listen())
    watching = asyncio.create_task(server.watch_itself())
    while line := await reader.readline():
        script = msgspec.json.decode(line, type=list[Stretch])
        writer.write(msgspec.json.encode(await server.perform(script)) + b"\n")
    watching.cancel()
    server.close()
    writer.close()


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)))
