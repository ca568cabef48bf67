"""Work beside the event loop is bounded in number and in time; and a large catalogue is searched there."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from recsvc.aside import MAX_WAITING, Aside
from recsvc.inference import DeadlinePassed, Overloaded


def test_what_runs_aside_leaves_the_loop_alone_and_comes_back() -> None:
    async def story() -> None:
        aside, deadline_s = Aside("test"), time.monotonic() + 10
        assert await aside.run(deadline_s, threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await aside.run(deadline_s, lambda: 1 // 0)

    asyncio.run(story())


def test_too_much_and_too_late_are_refused_and_then_it_goes_on() -> None:
    async def story() -> None:
        aside, gate = Aside("test"), threading.Event()
        held = asyncio.create_task(aside.run(time.monotonic() + 10, gate.wait, 10))
        await asyncio.sleep(0)
        with pytest.raises(DeadlinePassed):
            await aside.run(time.monotonic() + 0.05, int)
        queued = [asyncio.create_task(aside.run(time.monotonic() + 10, int)) for _ in range(MAX_WAITING - 1)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await aside.run(time.monotonic() + 10, int)
        gate.set()
        assert await held is True
        assert await asyncio.gather(*queued) == [0] * (MAX_WAITING - 1)
        assert await aside.run(time.monotonic() + 10, int) == 0

    asyncio.run(story())


def test_what_nobody_waits_for_any_more_still_counts_while_it_runs() -> None:
    async def story() -> None:
        aside, gate = Aside("test"), threading.Event()
        with pytest.raises(DeadlinePassed):
            await aside.run(time.monotonic() + 0.05, gate.wait, 10)
        queued = [asyncio.create_task(aside.run(time.monotonic() + 10, int)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        gate.set()
        done = await asyncio.gather(*queued, return_exceptions=True)
        assert [type(result) for result in done] == [int] * (MAX_WAITING - 1) + [Overloaded]

    asyncio.run(story())
