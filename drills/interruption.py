"""Ctrl-C, SIGTERM and a closed terminal as one exception, so that bringing everything back is ordinary unwinding."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from drills.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(consequence: str, note: Callable[[str], object] = lambda _: None) -> Iterator[None]:
    """Raise Interrupted at the first signal that asks this process to stop, and ignore the following ones.

    ``consequence`` tells the user what was done about it; ``note`` is called at once with the signal's name. Blocks
    may be nested: once one was interrupted, those around it are not interrupted again while they bring things back.
    """
    stopped = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        ignore_signals()  # a second Ctrl-C must not interrupt the healing
        name = signal.Signals(number).name
        with suppress(OSError):  # a full disk
            note(name)
        raise Interrupted(f"interrupted by {name}; {consequence}")

    # What was ignored from the start (nohup) stays ignored.
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            around = getattr(handler, "__qualname__", None) == stop.__qualname__
            signal.signal(number, signal.SIG_IGN if stopped and around else handler)


def ignore_signals() -> None:
    """Ignore further requests to stop: from here on everything is brought back, which must not be interrupted."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Put off requests to stop until the block has ended: what it starts must be known before it can be ended.

    Only the main thread hears signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    heeded = [number for number in STOPPING if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])
