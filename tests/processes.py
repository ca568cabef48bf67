"""What runs on this machine, for tests that assert that nothing of a lab is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def commands_with(marker: str) -> list[str]:
    """The command lines of all processes that mention ``marker``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line:
            found.append(line)
    return found


def pids_with(*markers: str) -> list[int]:
    """The processes whose command lines mention all of ``markers``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_text(errors="replace")
        except OSError:
            continue
        if all(marker in line for marker in markers):
            found.append(int(entry.parent.name))
    return found


def pid_namespace(pid: int) -> str:
    """What identifies the PID namespace a process lives in."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def commands_in(namespace: str) -> list[str]:
    """The names of all processes that live in a PID namespace."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "ns" / "pid").readlink()) == namespace:
                found.append((entry / "comm").read_text().strip())
        except OSError:
            continue
    return found


def eventually_empty(look: Callable[[], list[T]], seconds: float) -> list[T]:
    """What ``look`` still finds after at most ``seconds``."""
    deadline = time.monotonic() + seconds
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
