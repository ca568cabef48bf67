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
from pathlib import Path
from typing import Any

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


def start(
    argv: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start ``python argv`` in a session of its own, killed by the kernel should this process die.

    Of its own, so that Ctrl-C reaches only recdr, and so that Linux shares the processors fairly between the clients
    (its automatic groups go by session)."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(fds),
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - callers start children before any thread of theirs
        )


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
