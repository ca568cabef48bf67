"""What a process says, on its way into a log: it reaches the disk under a name only without secrets.

The process writes into a file without a name, which nobody but it and recdr can open and which goes with both of them:
unlike a pipe it never fills up, and who is left behind in the background can go on writing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from drills.privacy.known import redacted

_READ = 2**20
_BEGIN, _END = "-----BEGIN ", "-----END "


class Sieve:
    """Appends to ``log`` what is written to it, when ``drain`` is called."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._fd = _nameless(log.parent)
        self._done = 0

    def fileno(self) -> int:
        """Where the process is to write."""
        return self._fd

    def drain(self, *, whole: bool = False) -> str:
        """Append the lines that were written since the last call, ``whole``: an unfinished one too; returns them."""
        said = []
        while raw := os.pread(self._fd, _READ, self._done):
            raw = raw if whole or len(raw) == _READ else raw[: raw.rfind(b"\n") + 1]
            raw = raw if whole else _before_an_open_key(raw)
            if not raw:
                break
            self._done += len(raw)
            said.append(redacted(raw.decode(errors="replace")))
            self.note(said[-1])
        return "".join(said)

    def note(self, text: str) -> None:
        """Append a text of recdr's own; on a full disk it is not."""
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(text)

    def close(self) -> None:
        os.close(self._fd)


def _before_an_open_key(raw: bytes) -> bytes:
    """Of a private key that is not there to its end nothing is read yet."""
    begin = raw.rfind(_BEGIN.encode())
    if begin < 0 or raw.find(_END.encode(), begin) >= 0 or len(raw) - begin > _READ // 2:
        return raw
    return raw[:begin]


def _nameless(folder: Path) -> int:
    """A file beside the log that has no name; in memory where the disk is full."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.dup(file.fileno())
    except OSError:
        return os.memfd_create("log", os.MFD_CLOEXEC)
