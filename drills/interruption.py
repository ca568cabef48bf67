"""Ctrl-C, SIGTERM and a closed terminal as one exception, so that bringing everything back is ordinary unwinding."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from drills.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(consequence: str, note: Callable[[str], object] = lambda _: None) -> Iterator[None]:
    """Raise Interrupted at the first signal that asks this process to stop, and ignore the following ones.

    ``consequence`` tells the user what was done about it; ``note`` is called at once with the signal's name.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()  # a second Ctrl-C must not interrupt the healing
        name = signal.Signals(number).name
        note(name)
        raise Interrupted(f"interrupted by {name}; {consequence}")

    # What was ignored from the start (nohup) stays ignored.
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore further requests to stop: from here on everything is brought back, which must not be interrupted."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
