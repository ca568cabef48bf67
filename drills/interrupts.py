"""Ctrl-C, SIGTERM and a closed terminal as one exception, so that bringing everything back is ordinary unwinding."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from drills.errors import Interrupted
from drills.record import EventWriter

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore_signals() -> None:
    """From here on nothing may interrupt: what was broken or deployed is being brought back."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interruptible(events: EventWriter) -> Iterator[None]:
    """Raise Interrupted in the main thread when a signal asks to stop, and note it; the old handlers come back."""

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()  # a second Ctrl-C must not interrupt the healing
        name = signal.Signals(number).name
        events.write("interrupted", signal=name)
        raise Interrupted(f"interrupted by {name}; everything that was broken has been healed")

    # What was ignored from the start (nohup) stays ignored.
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
