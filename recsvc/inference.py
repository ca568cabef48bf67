"""Zero-delay batching: one batch runs in a thread; whatever arrives meanwhile makes up the next one.

Nothing waits for company: a lone request runs at once, and under load batches grow by themselves to 64. The
queue is bounded and every job has a deadline, so that overload is answered quickly with a refusal instead of
slowly with late answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsvc.accelerator import Accelerator, Arrays

MAX_BATCH = 64
DRAIN_PERIOD_S = 0.01
T = TypeVar("T")


class Overloaded(Exception):  # noqa: N818 - a state of the node, named so in the answer
    """The queue is full, or moves so slowly that the answer would come too late."""


class DeadlinePassed(Exception):  # noqa: N818 - see above
    """The job was not run, or did not end, before its deadline."""


@dataclass(frozen=True)
class Job:
    """What a request asks of the model: catalogue indices, newest last; ``seen`` is never recommended.

    ``k`` is at most the number of items not in ``seen``: the model still ranks what it masks, only last.
    """

    history: Sequence[int]
    seen: Sequence[int]
    k: int


@dataclass(frozen=True)
class Ranking:
    """The model's answer: ``items`` int64 and ``scores`` float32 [<= k], best first; ``user`` float32 [d]."""

    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    user: NDArray[np.float32]
    accelerator: str


@dataclass(frozen=True)
class Stages:
    """Who is told, in seconds, how long each job waited for its batch and how long each batch ran."""

    queued: Callable[[float], None]
    ran: Callable[[float], None]


_Queued = tuple[Job, asyncio.Future[Ranking], float, float]
"""A job, its answer, its deadline and when it was queued."""


class Batcher:
    """Feeds jobs to the accelerator, one batch at a time, from one thread."""

    def __init__(
        self,
        accelerator: Accelerator,
        *,
        max_queue: int,
        observe: Callable[[float], None],
        stages: Stages | None = None,
    ) -> None:
        self._accelerator, self._max_queue, self._observe = accelerator, max_queue, observe
        self._stages = stages
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._queue: deque[_Queued] = deque()
        self._running = False
        self._started_s = 0.0
        # Two, of which the shorter counts: one batch that was held up says nothing about the next.
        self._took_s: deque[float] = deque(maxlen=2)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def rank(self, job: Job, deadline_s: float) -> Ranking:
        """Return the model's answer; ``deadline_s`` is a time of `time.monotonic()`.

        Raises `Overloaded` at once when the queue is full or the answer must be expected to come too late,
        `DeadlinePassed` when it does come too late.
        """
        if len(self._queue) >= self._max_queue or self._expected_s() > deadline_s:
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ranking] = loop.create_future()
        self._queue.append((job, future, deadline_s, time.monotonic()))
        if not self._running:
            self._start_batch()
        too_late = loop.call_later(deadline_s - time.monotonic(), _give_up, future)
        try:
            return await future
        finally:
            too_late.cancel()

    async def in_run_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run something between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def drain(self) -> None:
        """Answer what waits, then close; nobody may ask any more."""
        while self._running or self._queue:
            await asyncio.sleep(DRAIN_PERIOD_S)
        self._thread.shutdown(wait=False)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _expected_s(self) -> float:
        """When a job that is queued now would be answered if batches go on taking what they took; 0 if it runs at once.

        An idle node takes any job: only so can it find out that it has become fast again.
        """
        if not self._running or not self._took_s:
            return 0.0
        now_s, took_s = time.monotonic(), min(self._took_s)
        running_until_s = max(now_s, self._started_s + took_s)
        return running_until_s + took_s * (1 + len(self._queue) // MAX_BATCH)

    def _start_batch(self) -> None:
        batch = self._next_batch()
        self._running = bool(batch)
        if not batch:
            return
        self._observe(len(batch))
        self._started_s = time.monotonic()
        if self._stages is not None:
            for queued in batch:
                self._stages.queued(self._started_s - queued[3])
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._run, [queued[0] for queued in batch])
        running.add_done_callback(lambda done: self._finish(batch, done))

    def _next_batch(self) -> list[_Queued]:
        """Take up to MAX_BATCH jobs that somebody still waits for."""
        batch: list[_Queued] = []
        now_s = time.monotonic()
        while self._queue and len(batch) < MAX_BATCH:
            queued = self._queue.popleft()
            if not queued[1].done() and queued[2] > now_s:
                batch.append(queued)
        return batch

    def _run(self, jobs: list[Job]) -> list[Ranking]:
        outputs, accelerator = self._accelerator.run(collate(jobs))
        items, scores, users = outputs["items"], outputs["scores"], outputs["user"]
        return [
            Ranking(items[row, : job.k], scores[row, : job.k], users[row], accelerator) for row, job in enumerate(jobs)
        ]

    def _finish(self, batch: list[_Queued], done: asyncio.Future[list[Ranking]]) -> None:
        self._took_s.append(time.monotonic() - self._started_s)
        if self._stages is not None:
            self._stages.ran(self._took_s[-1])
        self._start_batch()
        if done.cancelled():
            return
        error = done.exception()
        for row, (_, future, *_) in enumerate(batch):
            if future.done():
                continue
            if error is not None:
                future.set_exception(RuntimeError(f"inference failed: {error}"))
            else:
                future.set_result(done.result()[row])


def _give_up(future: asyncio.Future[Ranking]) -> None:
    if not future.done():
        future.set_exception(DeadlinePassed())


def collate(jobs: Sequence[Job]) -> Arrays:
    """Return ``history`` int64 [batch, length] left-padded, ``seen`` int64 [batch, n], ``k`` int64 [1]."""
    length = max(1, *(len(job.history) for job in jobs))
    width = max(1, *(len(job.seen) for job in jobs))
    history = np.zeros((len(jobs), length), dtype=np.int64)
    seen = np.zeros((len(jobs), width), dtype=np.int64)
    for row, job in enumerate(jobs):
        if job.history:
            history[row, length - len(job.history) :] = job.history
        seen[row, : len(job.seen)] = job.seen
    return {
        "history": history,
        "seen": seen,
        "k": np.array([max(1, *(job.k for job in jobs))], dtype=np.int64),
    }
