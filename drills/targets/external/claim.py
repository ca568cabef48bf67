"""One drill at a time on a service, whoever runs it from wherever on this machine."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from drills.errors import UsageError
from drills.holding import holder

_CREDENTIALS = struct.Struct("3i")
_LOOPBACK = ("localhost", "::1")


@contextmanager
def claim(edge: str) -> Iterator[None]:
    """Hold the service behind ``edge``; the claim goes with its holder. Raises UsageError where another drill has it.

    An abstract socket, so that it is the same for all users and folders, and nothing is left behind after kill -9.
    """
    name = f"\0recdr-drill-{hashlib.sha256(_plain(edge).encode()).hexdigest()[:32]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claimed:
        try:
            claimed.bind(name)
        except OSError:
            raise UsageError(
                f"another drill is running on {edge}{holder(_who(name))}: "
                "wait for it, or two drills would each measure the other's fault"
            ) from None
        claimed.listen(8)  # so that the kernel tells others who it is
        yield


def _who(name: str) -> int | None:
    """The process that listens on an abstract socket; None where it has just gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            raw = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    return int(_CREDENTIALS.unpack(raw)[0])


def _plain(edge: str) -> str:
    """The same text for the same place, however it is written."""
    parts = urlsplit(edge)
    host = "127.0.0.1" if parts.hostname in _LOOPBACK else parts.hostname
    return f"{host}:{parts.port or {'https': 443}.get(parts.scheme, 80)}{parts.path.rstrip('/')}"
