"""A request and its answer on their way through uvicorn, with less to do than in uvicorn's own.

uvicorn's cycle looks at every header of an answer with two regular expressions, writes head and body apart and waits
for a body that has come already. Here answers come from `recsvc.asgi` alone, with their length and in one piece, and no
header's value comes from a request. That and `recsvc.identifiers` took a third off what a recommendation costs without
its model (250 to 178 us of CPU on a busy machine, 32 connections).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

CLOSE = (b"connection", b"close")


class Exchange(RequestResponseCycle):
    """What uvicorn's protocol expects of a cycle, and ASGI's ``receive`` and ``send`` for one request."""

    def __init__(self, protocol: HttpToolsProtocol, *, keep_alive: bool) -> None:
        self.scope = protocol.scope
        self.transport, self.flow, self.logger = protocol.transport, protocol.flow, protocol.logger
        self._behind = protocol.pipeline
        self.message_event = asyncio.Event()
        self.on_response = protocol.on_response_complete
        self.keep_alive, self.disconnected = keep_alive, False
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body, self.more_body = bytearray(), True
        self.response_started = self.response_complete = False
        self._start: Mapping[str, Any] = {}

    async def receive(self) -> Any:
        """As uvicorn's, but a body that has come already, as nearly every one has, is not waited for."""
        if self.more_body or self.disconnected or self.response_complete:
            return await super().receive()
        self.waiting_for_100_continue = False  # it did not wait to be told (RFC 9110, 10.1.1)
        if not self._behind:
            self.flow.resume_reading()
        return {"type": "http.request", "body": bytes(self.body), "more_body": False}

    async def send(self, message: Any) -> None:
        """Keep the start until the body comes, then write both at once."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        self.response_started = self.response_complete = True
        self.transport.write(self._written(message["body"]))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _written(self, body: bytes) -> bytes:
        headers = self._start["headers"]
        if self.waiting_for_100_continue:
            self.keep_alive = False  # whether its body still comes is the client's choice (RFC 9110, 10.1.1)
        if CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers = [*headers, CLOSE]
        lines = [b"%b: %b\r\n" % header for header in headers]
        return b"".join((STATUS_LINE[self._start["status"]], *lines, b"\r\n", body))
