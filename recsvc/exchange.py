"""One request and its answer on a client's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Protocol

STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii")) for status in HTTPStatus
}
CLOSE = b"connection: close\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"

Headers = list[tuple[bytes, bytes]]


class ClientGone(Exception):  # noqa: N818 - not an error of ours
    """The client hung up before its request was complete."""


class BodyTooLarge(Exception):  # noqa: N818 - becomes the problem of that name
    """More has come than is taken."""


class Carrier(Protocol):
    """What an exchange needs of its connection."""

    write_paused: bool

    def write(self, data: bytes) -> None: ...

    def read_on(self) -> None:
        """Read more, unless requests wait."""

    async def writable(self) -> None: ...

    def ended(self, exchange: Exchange) -> None:
        """The exchange's answer is on its way."""


class Exchange:
    """A request as far as it has come, and the way back. ``headers``: names in lower case, in the order they came.

    What takes part in each of thousands of requests a second is plain here: no event, no queue, one future where a body
    does not come together with its headers.
    """

    __slots__ = (
        "_arrival", "_carrier", "_chunks", "answered", "expects_go_on", "gone", "headers", "keep_alive", "method",
        "more_body", "path", "query", "size",
    )  # fmt: skip

    def __init__(
        self,
        carrier: Carrier,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        keep_alive: bool,
        expects_go_on: bool,
    ) -> None:
        self._carrier, self.method, self.path, self.query, self.headers = carrier, method, path, query, headers
        self.keep_alive, self.expects_go_on = keep_alive, expects_go_on
        self.more_body, self.answered, self.gone = True, False, False
        self.size = 0
        self._chunks: list[bytes] = []
        self._arrival: asyncio.Future[None] | None = None

    def add(self, piece: bytes) -> None:
        """A piece of the body has come; nobody wants it any more once the answer is given."""
        if not self.answered:
            self._chunks.append(piece)
            self.size += len(piece)
            self._tell()

    def complete(self) -> None:
        """All of the request has come."""
        self.more_body = False
        self._tell()

    def lose(self) -> None:
        """The client has hung up."""
        self.gone = True
        self._tell()

    def _tell(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def body(self, at_most: int) -> bytes:
        """Return the whole body; raises `BodyTooLarge` beyond ``at_most`` bytes, and `ClientGone`."""
        while self.more_body and self.size <= at_most and not self.gone:
            if self.expects_go_on and not self._chunks:
                self._carrier.write(GO_ON)
            self.expects_go_on = False
            self._carrier.read_on()
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if self.more_body and self.gone:
            raise ClientGone
        if self.size > at_most:
            raise BodyTooLarge
        self.expects_go_on = self.expects_go_on and self.more_body  # it did not wait to be told (RFC 9110, 10.1.1)
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    async def answer(self, status: int, head: bytes, body: bytes, *, close: bool) -> None:
        """Write the answer: ``head`` has its header lines, its length among them; ``close`` ends the connection."""
        if self._carrier.write_paused and not self.gone:
            await self._carrier.writable()
        if self.gone:
            return
        self.answered = True
        # Who waits to be told to send its body may send it or not (RFC 9110, 10.1.1): what follows cannot be known.
        if close or self.expects_go_on:
            self.keep_alive = False
        end = b"\r\n" if self.keep_alive else CLOSE + b"\r\n"
        self._carrier.write(b"".join((STATUS_LINES[status], head, end, body)))
        self._carrier.ended(self)


Application = Callable[[Exchange], Coroutine[Any, Any, None]]
