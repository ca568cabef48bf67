"""Keep a process from using more than a share of one processor: ``python -m drills.targets.local.throttle PID SHARE``.

What cgroups do with ``cpu.max``, for whoever is not given any: in each period of 100 ms the process may use its quota
of processor time, all its threads and children together; then it is stopped (SIGSTOP) until it has quota again. What it
used beyond, because nobody looked in time, counts against the next periods. Run inside the lab, where it may signal the
process.

Ends with 0 when the process has ended. Killed outright, it may leave the process stopped: PID 1 sees to that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PERIOD_NS = 100_000_000
LOOK_NS = 2_000_000
AT_WORK = "at work"


@dataclass
class Quota:
    """What is left of a process's quota in the present period, in ns of processor time; negative: it used more."""

    each_ns: int
    left_ns: int

    def used(self, ns: int) -> None:
        self.left_ns -= ns

    def passed(self, periods: int) -> None:
        """Periods have gone by; what was not used in one is not saved for the next."""
        self.left_ns = min(self.left_ns + periods * self.each_ns, self.each_ns)

    @property
    def spent(self) -> bool:
        return self.left_ns <= 0


def processor_ns(pid: int) -> int:
    """The processor time that all threads of ``pid`` have used; raises OSError once it has ended."""
    # How Linux names the clock of another process: see clock_getcpuclockid(3), which Python has for threads alone.
    return time.clock_gettime_ns(~pid << 3 | 2)


def children(pid: int) -> list[int]:
    """What a process has started and not yet waited for; raises OSError where it, or a thread of it, has just ended."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def let_go(pid: int) -> None:
    """Let a process and its children run that a helper which was killed may have stopped; PID 1 calls this."""
    with contextlib.suppress(OSError):
        for one in (pid, *children(pid)):
            os.kill(one, signal.SIGCONT)


class Family:
    """A process and its children, such as the one that holds a node's accelerator."""

    def __init__(self, pid: int) -> None:
        self._pid, self._parent = pid, os.pidfd_open(pid)  # a process id is used again, this is not
        self._children: dict[int, int] = {}
        self._used_ns: dict[int, int] = {}
        self.meet()

    def meet(self) -> None:
        """Look for children that have come since."""
        with contextlib.suppress(OSError):
            for child in children(self._pid):
                if child not in self._children:
                    self._children[child] = os.pidfd_open(child)

    def used_ns(self) -> int:
        """Processor time of all, those included that have ended since; raises OSError once the parent has ended."""
        self._used_ns[self._pid] = processor_ns(self._pid)
        for child in list(self._children):
            try:
                self._used_ns[child] = max(processor_ns(child), self._used_ns.get(child, 0))
            except OSError:
                os.close(self._children.pop(child))
        return sum(self._used_ns.values())

    def signal(self, number: int) -> None:
        """Send all of them a signal; raises ProcessLookupError once the parent has ended."""
        signal.pidfd_send_signal(self._parent, number)
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child, number)


def throttle(pid: int, share: float) -> None:
    """Keep ``pid`` and its children within ``share`` of one processor until it ends.

    Then raises ProcessLookupError or OSError.
    """
    family = Family(pid)
    quota = Quota(int(PERIOD_NS * share), int(PERIOD_NS * share))
    before, ends, stopped = family.used_ns(), time.monotonic_ns() + PERIOD_NS, False
    while True:
        now = time.monotonic_ns()
        time.sleep(max(0, min(ends - now, PERIOD_NS if stopped else LOOK_NS)) / 1e9)
        used = family.used_ns()
        quota.used(used - before)
        before = used
        if (late := time.monotonic_ns() - ends) >= 0:
            periods = 1 + late // PERIOD_NS
            ends += periods * PERIOD_NS
            quota.passed(periods)
            family.meet()
        if quota.spent != stopped:
            stopped = quota.spent
            family.signal(signal.SIGSTOP if stopped else signal.SIGCONT)


def main() -> int:
    pid, share = int(sys.argv[1]), float(sys.argv[2])
    print(AT_WORK, flush=True)  # noqa: T201 - what PID 1 waits for
    try:
        throttle(pid, share)
    except OSError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
