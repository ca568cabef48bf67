"""Child processes that never outlive the run they belong to."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.privacy.sieve import Sieve

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send ``number`` to the calling process as soon as its parent dies (Linux)."""
    if _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def memory_file(name: str, document: Any) -> int:
    """A descriptor of an anonymous file holding ``document`` as JSON: a configuration that never reaches a disk."""
    fd = os.memfd_create(name, 0)
    os.write(fd, json.dumps(document).encode())
    return fd


class Child(subprocess.Popen[bytes]):
    """A process whose words reach its log without secrets, each time that somebody asks how it is."""

    sieve: Sieve

    def poll(self) -> int | None:
        code = super().poll()
        self.sieve.drain(whole=code is not None)
        return code

    def wait(self, timeout: float | None = None) -> int:
        try:
            return super().wait(timeout)
        finally:
            self.sieve.drain(whole=self.returncode is not None)


def start(
    argv: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, fds: Sequence[int] = ()
) -> Child:
    """Start ``python argv`` in a session of its own, killed by the kernel should this process die.

    Of its own, so that Ctrl-C reaches only recdr, and so that Linux shares the processors fairly between the clients
    (its automatic groups go by session)."""
    log.touch()
    sieve = Sieve(log)
    child = Child(
        [sys.executable, *argv],
        stdin=subprocess.DEVNULL,
        stdout=sieve.fileno(),
        stderr=subprocess.STDOUT,
        pass_fds=tuple(fds),
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    child.sieve = sieve
    return child


def stopped(pid: int) -> bool:
    """Whether a process is held up by a signal or a debugger, so that nothing of it goes on."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t")


def identity(pid: int) -> str:
    """A name that no other process has or will have, though process ids are used again; empty for one that is gone."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else f"process {pid} (begun at tick {rest[18]})"


def is_there(name: str) -> bool:
    """Whether the process that ``identity`` gave this name still runs, or is stopped."""
    words = name.split()
    return len(words) > 1 and words[1].isdigit() and identity(int(words[1])) == name


FROZEN_S = 2.0


@dataclass
class Frozen:
    """Notices that another process is stopped; ``what`` names it."""

    pid: int
    what: str
    _since: float | None = None

    def for_too_long(self) -> str | None:
        """Why one cannot rely on it, once it has been stopped at each look for 2 s; None otherwise."""
        if not stopped(self.pid):
            self._since = None
            return None
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since < FROZEN_S:
            return None
        return f"{self.what} (process {self.pid}) was stopped (SIGSTOP) and does not go on"


def started_at(pid: int) -> float | None:
    """When a process began, in seconds since the epoch; None where it cannot be told."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def let_end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Wait until a process that was told to end has ended; kill it where it does not."""
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Ask a process to end, then insist; returns its exit code."""
    return stop_all([process], timeout_s)[0]


def stop_all(running: Sequence[subprocess.Popen[bytes]], timeout_s: float) -> list[int]:
    """Ask all of them to end at the same time, then insist; returns their exit codes."""
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    return [_wait(process, max(0.0, deadline - time.monotonic())) for process in running]


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    try:
        return process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
