"""How recdr talks to the PID 1 of a lab: one JSON line there, one back, over an abstract UNIX socket.

The socket has no file, so nothing of it outlives the lab. Its name can be reached by every user of the host, so the
lab asks the kernel who is calling and answers only its owner.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from drills.errors import TargetError
from drills.targets.base import TargetGone

EXIT_FORBIDDEN = 77
"""How a lab's process ends where this host forbids what a lab is made of."""
_CREDENTIALS = struct.Struct("3i")


class Gone(TargetGone):
    """Nobody listens any more: the lab's PID 1 is not there."""


def listen(name: str) -> socket.socket:
    """A listening control socket called ``name``."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(f"\0{name}")
    server.listen(16)
    return server


def call(name: str, do: str, timeout_s: float = 10.0, /, **arguments: Any) -> Any:
    """Ask the lab to ``do`` something and return its answer; raises TargetError with the lab's own words."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(f"\0{name}")
            client.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            answer = json.loads(client.makefile("rb").readline() or b'{"error": "it hung up"}')
        except ConnectionRefusedError as error:
            raise Gone("the lab is gone") from error
        except (OSError, ValueError) as error:
            raise TargetError(f"the lab does not answer ({do}: {error or type(error).__name__})") from error
    if "error" in answer:
        raise TargetError(f"the lab could not do '{do}': {answer['error']}")
    return answer["result"]


def is_owner(connection: socket.socket) -> bool:
    """Whether the caller is the user who started the lab: root of the lab's user namespace."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(raw)[1] == 0)


def receive(connection: socket.socket) -> dict[str, Any]:
    """The request on a fresh connection; raises ValueError or OSError for one that is not a request."""
    connection.settimeout(2.0)
    request = json.loads(connection.makefile("rb").readline())
    if not isinstance(request, dict):
        raise ValueError("a request is a JSON object")
    return request


def reply(connection: socket.socket, **answer: Any) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")
