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
_LONGEST_LINE = 2**14
"""Looking into a longer one would take longer than it could be worth; bytes."""
_MOST = 2**21
"""Of a process that floods its log the rest is counted, not kept; bytes."""
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
        """Append the lines that were written since the last call, ``whole``: an unfinished one too; returns them.

        A line is looked at as a whole, and so is a private key: a secret may lie on any boundary.
        """
        said = []
        while raw := os.pread(self._fd, _READ, self._done):
            full = len(raw) == _READ
            raw = raw if whole and not full else _whole_lines(raw, full=full)
            raw = raw if whole and not full else _before_an_open_key(raw)
            if not raw:
                break
            self._done += len(raw)
            said.append(self._take(raw))
        return "".join(said)

    def _take(self, raw: bytes) -> str:
        if self._done > _MOST:
            text = "" if self._done - len(raw) > _MOST else f"--- what follows the first {_MOST} bytes is left out\n"
        else:
            lines = raw.decode(errors="replace").splitlines(keepends=True)
            text = redacted("".join(line if len(line) <= _LONGEST_LINE else _left_out(line) for line in lines))
        self.note(text)
        return text

    def note(self, text: str) -> None:
        """Append a text of recdr's own; on a full disk it is not."""
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(text)

    def close(self) -> None:
        os.close(self._fd)


def _whole_lines(raw: bytes, *, full: bool) -> bytes:
    """Up to the last line's end; a line that fills all there is to read is too long to be kept, so all of it."""
    return raw[: raw.rfind(b"\n") + 1] or (raw if full else b"")


def _left_out(line: str) -> str:
    return f"--- a line of {len(line)} characters is left out\n"


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
