"""Keep a process from using more than a share of one processor: ``python -m drills.targets.local.throttle PID SHARE``.

What cgroups do with ``cpu.max``, for whoever is not given any: in each period of 100 ms the process may use its quota
of processor time, all its threads together; then it is stopped (SIGSTOP) until it has quota again. What it used beyond,
because nobody looked in time, counts against the next periods. Run inside the lab, where it may signal the process.

Ends with 0 when the process has ended. Killed outright, it may leave the process stopped: PID 1 sees to that.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass

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


def throttle(pid: int, share: float) -> None:
    """Keep ``pid`` within ``share`` of one processor until it ends; then raises ProcessLookupError or OSError."""
    handle = os.pidfd_open(pid)  # a process id is used again, this is not
    quota = Quota(int(PERIOD_NS * share), int(PERIOD_NS * share))
    before, ends, stopped = processor_ns(pid), time.monotonic_ns() + PERIOD_NS, False
    while True:
        now = time.monotonic_ns()
        time.sleep(max(0, min(ends - now, PERIOD_NS if stopped else LOOK_NS)) / 1e9)
        used = processor_ns(pid)
        quota.used(used - before)
        before = used
        if (late := time.monotonic_ns() - ends) >= 0:
            periods = 1 + late // PERIOD_NS
            ends += periods * PERIOD_NS
            quota.passed(periods)
        if quota.spent != stopped:
            stopped = quota.spent
            signal.pidfd_send_signal(handle, signal.SIGSTOP if stopped else signal.SIGCONT)


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
