"""Work that would hold up the event loop, in one thread of its own, bounded in length and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from recsvc.inference import DeadlinePassed, Overloaded

MAX_WAITING = 32
T = TypeVar("T")


class Aside:
    """Runs one thing after another; not the inference thread, whose batches would wait for it."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting = 0

    async def run(self, deadline_s: float, function: Callable[..., T], *arguments: Any) -> T:
        """Return the function's result; ``deadline_s`` is a time of `time.monotonic()`.

        Raises `Overloaded` at once when too much waits, and `DeadlinePassed` when the result is not there in time.
        """
        if self._waiting >= MAX_WAITING:
            raise Overloaded
        self._waiting += 1
        work = self._thread.submit(function, *arguments)
        try:
            async with asyncio.timeout(deadline_s - time.monotonic()):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise DeadlinePassed from None
        finally:
            self._waiting -= 1
