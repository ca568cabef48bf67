"""Work that would hold up the event loop, in one thread of its own, bounded in length and time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from recsvc.inference import DeadlinePassed, Overloaded

MAX_WAITING = 32
T = TypeVar("T")


class Aside:
    """Runs one thing after another; not the inference thread, whose batches would wait for it."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting, self._counting = 0, threading.Lock()

    async def run(self, deadline_s: float, function: Callable[..., T], *arguments: Any) -> T:
        """Return the function's result; ``deadline_s`` is a time of `time.monotonic()`.

        Raises `Overloaded` at once when too much waits, and `DeadlinePassed` when the result is not there in time.
        """
        if self._waiting >= MAX_WAITING:
            raise Overloaded
        work = self._thread.submit(function, *arguments)
        with self._counting:
            self._waiting += 1
        # Not when its caller has gone: what nobody waits for any more still keeps the thread.
        work.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(deadline_s - time.monotonic()):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise DeadlinePassed from None

    def _ended(self, _: Future[Any]) -> None:
        with self._counting:
            self._waiting -= 1
