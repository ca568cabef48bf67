"""Servers that are measured one at a time: started on one core, stopped while others have their turn, weighed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# prctl(PR_SET_PDEATHSIG, SIGKILL) outlives exec: what a killed bench leaves behind dies with it.
_LAUNCH = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.sched_setaffinity(0, {int(sys.argv[1])}); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@dataclass
class Server:
    """A process and all that it started, in a session of its own."""

    popen: subprocess.Popen[bytes]
    log: Path

    def signal(self, number: int) -> None:
        for pid in _family(self.popen.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it with all that it started, even what has left its session."""
        family = _family(self.popen.pid)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()

    def memory_mb(self) -> float:
        """Proportional set size of all its processes: what is shared among them counts once."""
        return sum(_pss_kb(pid) for pid in _family(self.popen.pid)) / 1024

    def cpu_s(self) -> float:
        """CPU time of all its processes so far, user and system."""
        return sum(_cpu_s(pid) for pid in _family(self.popen.pid))


def start(
    command: Sequence[str],
    log: Path,
    *,
    core: int,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Server:
    """Start ``command``, whose first word is a path, on ``core``."""
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(core), *command],
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    return Server(popen, log)


def _family(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    family = [root]
    for pid in family:
        family += children.get(pid, [])
    return family


def _pss_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def wait_for(ready: object, server: Server, name: str, *, within_s: float = 90.0) -> None:
    """Wait until ``ready()`` is true; raises RuntimeError with the end of the server's log when it never is."""
    assert callable(ready)
    end_s = time.monotonic() + within_s
    while not ready():
        if server.popen.poll() is not None or time.monotonic() > end_s:
            tail = server.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{name} does not answer; its log ends so:\n{tail}")
        time.sleep(0.1)
