"""A raw asyncio HTTP server that answers every request at once, and goes dark when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

SECOND = 1_000_000_000
Manner = Literal["holds", "drops", "refuses"]


@dataclass
class ScriptedServer:
    """Serves on its own thread. Dark, it either ``holds`` what it is sent and answers it all at its return,
    ``drops`` it without ever answering, or ``refuses`` connections and resets those there are.

    ``dark_from`` and ``dark_to`` (ns) are when it really went dark and came back.
    """

    manner: Manner = "holds"
    items: list[str] = field(default_factory=lambda: ["1", "2", "3"])
    dark_from: int = 0
    dark_to: int = 0
    port: int = 0
    bodies: list[dict[str, object]] = field(default_factory=list)

    def __enter__(self) -> ScriptedServer:
        self._socket = _bound(0)
        self.port = self._socket.getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()
        self._back: asyncio.Event | None = None
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def go_dark(self, seconds: float) -> None:
        """Go dark at once and for exactly ``seconds``; returns when the server is back."""
        asyncio.run_coroutine_threadsafe(self._go_dark(round(seconds * SECOND)), self._loop).result(seconds + 5)

    async def _main(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._server = await asyncio.start_server(self._serve, sock=self._socket)
        ready.set()
        await self._stop.wait()
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _go_dark(self, span: int) -> None:
        back = self._back = asyncio.Event()
        if self.manner == "refuses":
            self._server.close()
            for writer in list(self._writers):
                _reset(writer)
        self.dark_from = time.monotonic_ns()
        until = self.dark_from + span
        replacement = _bound(self.port) if self.manner == "refuses" else None
        await asyncio.sleep((until - time.monotonic_ns()) / SECOND - 0.003)
        while time.monotonic_ns() < until:
            pass
        if replacement is not None:
            replacement.listen(512)
        self.dark_to = time.monotonic_ns()
        self._back = None
        back.set()
        if replacement is not None:
            self._server = await asyncio.start_server(self._serve, sock=replacement)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length:")[1].split("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                if self._back is not None:
                    if self.manner == "drops":
                        continue
                    await self._back.wait()
                self.bodies.append(body)
                writer.write(self._answer(head))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _answer(self, head: str) -> bytes:
        content = json.dumps({"items": self.items} if "/v1/recommend" in head else {"acknowledged": True}).encode()
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Recsvc-Region: primary\r\n"
            b"X-Recsvc-Node: primary/node-1\r\nX-Recsvc-Model: abc\r\nX-Recsvc-Degraded: 0\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
        )


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
