"""The run's watchdog: a process beside recdr that heals from the undo log if recdr dies or stalls.

    python -m drills.watchdog RUN LEASE_S PID

It reads a pipe that only recdr holds the other end of. A byte now and then says that all is well, another one that the
run has ended well; the end of the pipe, that recdr is gone; silence for longer than the lease, that it is stopped or
stuck. It sits in a session of its own, so that what ends recdr does not end it too, and loads what healing needs only
when it has to heal.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from drills.errors import EXIT_BUG
from drills.privacy import redacted
from drills.recording.rundir import RunDir

ALIVE, WELL = b".", b"q"
GONE, STALLED = "gone", "stalled"


def start(run: RunDir, lease_s: float) -> tuple[subprocess.Popen[bytes], int]:
    """Start it; returns it and the pipe by which it is told."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        with (run.logs / "watchdog.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "drills.watchdog", str(run.path), str(lease_s), str(os.getpid())],
                stdin=reading,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return process, writing


def wait(lease_s: float, pipe: int = 0) -> str | None:
    """Return once recdr is ``gone`` or ``stalled``, or None once it has ended well."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    heard = time.monotonic()
    while True:
        left_s = heard + lease_s - time.monotonic()
        # Also when the time is over: this process may have been stopped itself, and the pipe be full of good news.
        if poll.poll(max(0.0, left_s) * 1000):
            said = os.read(pipe, 4096)
            if WELL in said:
                return None
            if not said:
                return GONE
            heard = time.monotonic()
        elif left_s <= 0:
            return STALLED


def main() -> int:
    """Watch, and heal if need be; nobody but recdr can ask it to go."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    run, lease_s, watched = RunDir(Path(sys.argv[1])), float(sys.argv[2]), int(sys.argv[3])
    why = wait(lease_s)
    if why is not None and run.path.is_dir():
        from drills import rescue  # noqa: PLC0415 - much to load, and hardly ever needed

        try:
            rescue.rescue(run, watched, why, lease_s)
        except FileNotFoundError:  # the run's directory was deleted meanwhile
            pass
        except Exception:
            print(redacted(traceback.format_exc()), file=sys.stderr)  # noqa: T201 - it goes into its log
            return EXIT_BUG
    return 0


if __name__ == "__main__":
    sys.exit(main())
