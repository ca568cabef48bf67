"""One pipelined, self-healing connection to a Valkey or Sentinel server, over hiredis.

Why not valkey-py: its asyncio client checks a connection out of a pool for every command (no pipelining
between requests), valkey 6.2 looks for `libvalkey` and does not use hiredis, and importing it costs 0.16 s of
CPU in each node. Here every caller writes into the same connection at once and replies come back in order, so
a round trip costs one write, and a time limit never leaves a reply to be read by the wrong caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis

Command = Sequence[str | bytes | int]
_NOT_YET = object()


def encode(commands: Sequence[Command]) -> bytes:
    """Return the commands as RESP."""
    # hiredis's stub asks for a tuple of a wider union than ours.
    return b"".join([hiredis.pack_command(cast(Any, tuple(command))) for command in commands])


class StoreUnavailable(Exception):  # noqa: N818 - a state of the store, and named so in the answers
    """No answer. ``sent`` is False when the commands certainly never left this process."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class ReplyError(Exception):
    """The server answered with an error; ``str()`` is its text, e.g. ``READONLY You can't write ...``."""


class ProtocolError(Exception):
    """The bytes received are not RESP."""


class _Pipeline:
    """Commands sent together; resolves with the list of their replies."""

    __slots__ = ("expected", "future", "late_ns", "replies", "sent_ns", "timeout_s")

    def __init__(self, expected: int, future: asyncio.Future[list[Any]], timeout_s: float) -> None:
        self.expected, self.future, self.timeout_s = expected, future, timeout_s
        self.replies: list[Any] = []
        self.sent_ns = time.monotonic_ns()
        self.late_ns = self.sent_ns + int(timeout_s * 1e9)


class _Wire(asyncio.Protocol):
    """A live TCP connection: bytes in, replies handed to their pipelines in order."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pending: deque[_Pipeline] = deque()
        self._unsent: list[bytes] = []
        self._reader = hiredis.Reader(protocolError=ProtocolError, replyError=ReplyError, notEnoughData=_NOT_YET)
        self._transport: asyncio.Transport | None = None
        self._looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOT_YET:
                self._deliver(reply)
        except ProtocolError:
            self.abort()

    def _deliver(self, reply: Any) -> None:
        if not self.pending:
            raise ProtocolError("a reply that nobody asked for")
        head = self.pending[0]
        head.replies.append(reply)
        if len(head.replies) == head.expected:
            self.pending.popleft()
            if not head.future.done():  # the caller may have given up waiting
                head.future.set_result(head.replies)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        for pipeline in self.pending:
            if not pipeline.future.done():
                pipeline.future.set_exception(StoreUnavailable("connection lost", sent=True))
        self.pending.clear()

    def write(self, commands: Sequence[Command], timeout_s: float) -> asyncio.Future[list[Any]]:
        """Send the commands; the future fails with `StoreUnavailable` when no reply has come in time."""
        assert self._transport is not None
        if self._transport.is_closing():  # lost, and nobody was told yet
            raise StoreUnavailable("connection lost", sent=False)
        loop = asyncio.get_running_loop()
        encoded = encode(commands)  # before it is expected to be answered: what cannot be encoded is not sent
        pipeline = _Pipeline(len(commands), loop.create_future(), timeout_s)
        self.pending.append(pipeline)
        if not self._unsent:
            loop.call_soon(self._send)
        self._unsent.append(encoded)
        if self._looking is None:
            self._looking = loop.call_later(LOOK_S, self._look, loop)
        return pipeline.future

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Find out who has waited for too long: one timer for all, for one a command cost as much as its reply."""
        now_ns = time.monotonic_ns()
        late = [pipeline for pipeline in self.pending if pipeline.late_ns <= now_ns]
        if late:
            loop.call_later(READ_S, _give_up, late)
        self._looking = loop.call_later(LOOK_S, self._look, loop) if self.pending else None

    def _send(self) -> None:
        """Write what this turn of the loop has asked for at once: a write is a system call, and wakes the server."""
        commands = b"".join(self._unsent)
        self._unsent.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(commands)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def stalled_s(self, now_ns: int) -> float:
        return (now_ns - self.pending[0].sent_ns) / 1e9 if self.pending else 0.0


LOOK_S = 0.005
READ_S = 0.002
"""What has come is read for so long before it counts as late: it may be this process that was held up, by loading a
model for example, and uvloop looks at its timers first, at what has come only then."""


def _give_up(late: Sequence[_Pipeline]) -> None:
    for pipeline in late:
        if not pipeline.future.done():
            why = f"no reply within {pipeline.timeout_s:g} s"
            pipeline.future.set_exception(StoreUnavailable(why, sent=True))


class Link:
    """A connection to one server that reconnects for ever while `run` is running.

    ``stall_s``: a reply overdue by this much (a hung server, a blackholed peer) drops the connection, so that
    later callers fail at once instead of waiting. All times in seconds.
    """

    def __init__(
        self, address: tuple[str, int], *, stall_s: float = 0.4, connect_s: float = 0.3, retry_s: float = 0.05
    ) -> None:
        self.address = address
        self._stall_s, self._connect_s, self._retry_s = stall_s, connect_s, retry_s
        self._wire: _Wire | None = None

    @property
    def up(self) -> bool:
        """True while the server answers; False until it has answered a PING on this connection."""
        return self._wire is not None

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        while True:
            with contextlib.suppress(OSError, TimeoutError, StoreUnavailable):
                await self._hold_one_connection()
            await asyncio.sleep(self._retry_s)

    async def _hold_one_connection(self) -> None:
        loop = asyncio.get_running_loop()
        wire: _Wire | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                _, wire = await loop.create_connection(_Wire, *self.address)
                # The kernel completes handshakes for a stopped process too: only an answered PING counts.
                await wire.write([("PING",)], self._connect_s)
            self._wire = wire
            while not wire.lost.done():
                await asyncio.wait([wire.lost], timeout=self._stall_s / 4)
                if await self._is_stalled(wire):
                    break
        finally:
            self._wire = None
            if wire is not None:
                wire.abort()

    async def _is_stalled(self, wire: _Wire) -> bool:
        if wire.stalled_s(time.monotonic_ns()) <= self._stall_s:
            return False
        await asyncio.sleep(READ_S)
        return wire.stalled_s(time.monotonic_ns()) > self._stall_s

    def drop(self) -> None:
        """Give the connection up now; whoever waits on it gets `StoreUnavailable`, and a new one is made."""
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    async def ask(self, *commands: Command, timeout_s: float) -> list[Any]:
        """Send the commands as one pipeline; return the replies in order, errors as `ReplyError` values.

        Raises `StoreUnavailable` when there is no connection, it breaks, or ``timeout_s`` passes.
        """
        return await self._submit(commands, timeout_s)

    async def call(self, *command: str | bytes | int, timeout_s: float) -> Any:
        """Send one command and return its reply; raises `ReplyError` for an error reply, else as `ask`."""
        (reply,) = await self._submit((command,), timeout_s)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def _submit(self, commands: Sequence[Command], timeout_s: float) -> asyncio.Future[list[Any]]:
        if self._wire is None:
            raise StoreUnavailable("not connected", sent=False)
        return self._wire.write(commands, timeout_s)
