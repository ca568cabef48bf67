"""HTTP as bytes, for requests that no client library would send."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True)
class Raw:
    """What came back before the server closed or stopped answering; ``closed``: whether it closed."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """Of every answer, in order."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    @property
    def problem(self) -> dict[str, object]:
        """The document of the only answer."""
        head, _, body = self.data.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head, self.data
        return dict(msgspec.json.decode(body))


def send(port: int, *pieces: bytes, wait_s: float = 1.0, connected: socket.socket | None = None) -> Raw:
    """Send the pieces and read until the server closes, or says nothing for ``wait_s``."""
    with connected or socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(wait_s)
        for piece in pieces:
            client.sendall(piece)
        return read(client)


def read(client: socket.socket) -> Raw:
    """Everything until the server closes or stops answering."""
    data = b""
    while True:
        try:
            chunk = client.recv(65536)
        except TimeoutError:
            return Raw(data, closed=False)
        except ConnectionResetError:
            return Raw(data, closed=True)
        if not chunk:
            return Raw(data, closed=True)
        data += chunk


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A request with the right length."""
    lines = [f"POST {path} HTTP/1.1", "Host: node", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
