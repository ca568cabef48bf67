"""The scripted server from outside: start it, have it perform scripts, end it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from drills import processes
from drills.calibration.books import Edges, Stretch
from drills.errors import TargetError

STARTED_WITHIN_S = 30.0
_SLACK_S = 10.0


class Scripted:
    """A running scripted server. ``port``: where it serves on 127.0.0.1; ``books``: what it writes down."""

    def __init__(self, control: socket.socket, books: Path) -> None:
        self._control, self._lines = control, control.makefile("rb")
        self.books = books
        self.port = int(self._answer(STARTED_WITHIN_S))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def perform(self, script: Sequence[Stretch]) -> Edges:
        """Have a script performed; returns once it is over, with the moments at which it really happened.

        Raises TargetError where the server does not answer in time.
        """
        self._control.sendall(msgspec.json.encode(script) + b"\n")
        answer = self._answer(sum(stretch.seconds for stretch in script) + _SLACK_S)
        return msgspec.json.decode(answer, type=Edges)

    def close(self) -> None:
        """Let the server end; its books are then complete once its process has."""
        self._lines.close()
        self._control.close()

    def _answer(self, within_s: float) -> bytes:
        self._control.settimeout(within_s)
        try:
            line: bytes = self._lines.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise TargetError(f"the scripted server does not answer; see the logs in {self.books.parent}")
        return line


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Scripted]:
    """A scripted server that lives as long as the block; raises TargetError where it does not start."""
    ours, theirs = socket.socketpair()
    books = folder / "books.jsonl"
    fd = processes.memory_file("server", {"books": str(books), "control": theirs.fileno()})
    try:
        argv = ["-P", "-m", "drills.calibration.server", f"/proc/self/fd/{fd}"]
        process = processes.start(argv, folder / "server.log", fds=[fd, theirs.fileno()])
    finally:
        os.close(fd)
        theirs.close()
    try:
        with ours:
            server = Scripted(ours, books)
            yield server
            server.close()
            process.wait(_SLACK_S)
    finally:
        processes.stop(process, 0.0)
