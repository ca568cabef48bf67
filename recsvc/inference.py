"""Zero-delay batching: one batch runs in a thread; whatever arrives meanwhile makes up the next one.

Nothing waits for company: a lone request runs at once, and under load batches grow by themselves to 64. The
queue is bounded and every job has a deadline, so that overload is answered quickly with a refusal instead of
slowly with late answers. On a GPU, where a batch of one leaves most of the device idle, a window may be set: then a
batch waits that long after its first job, or until it is full.

Users whose vector is known from before (`recsvc.encoded`) are only scored: one run of the graph encodes the others
and scores all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsvc.accelerator import Accelerator, Arrays
from recsvc.encoded import NOBODY, EncodedUsers, Split, Vectors, Window

MAX_BATCH = 64
DRAIN_PERIOD_S = 0.01
LOOK_S = 0.01
"""How late a job may be told that its deadline has passed."""
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
    user: str = NOBODY
    """Under which name the user's vector is kept; for NOBODY it is not."""


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
        encoded: EncodedUsers | None = None,
        window_s: float = 0.0,
    ) -> None:
        self._accelerator, self._max_queue, self._observe = accelerator, max_queue, observe
        self._stages, self._encoded, self._window_s = stages, encoded, window_s
        self._gathering: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._queue: deque[_Queued] = deque()
        self._batch: list[_Queued] = []
        self._looking: asyncio.TimerHandle | None = None
        self._running = self._closed = False
        self._holders = 0
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
        if self._closed or len(self._queue) >= self._max_queue or self._expected_s() > deadline_s:
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ranking] = loop.create_future()
        self._queue.append((job, future, deadline_s, time.monotonic()))
        if not self._running:
            self._start_or_gather(loop)
        if self._looking is None:
            self._looking = loop.call_later(LOOK_S, self._look, loop)
        return await future

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """In the block it takes jobs: who asks more than once does it here, so that `drain` waits for the last."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1

    async def in_run_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run something between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def drain(self) -> None:
        """Answer what waits and what those ask who hold it, then close; nobody else may ask any more."""
        while self._running or self._queue or self._holders:
            await asyncio.sleep(DRAIN_PERIOD_S)
        self._closed = True
        self._thread.shutdown(wait=False)

    def close(self) -> None:
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let down whose deadline has passed: one timer for all, for one a job cost as much as answering it."""
        now_s = time.monotonic()
        waiting = False
        for _, future, deadline_s, _ in (*self._batch, *self._queue):
            if deadline_s <= now_s and not future.done():
                future.set_exception(DeadlinePassed())
            waiting |= not future.done()
        self._looking = loop.call_later(LOOK_S, self._look, loop) if waiting else None

    def _expected_s(self) -> float:
        """When a job that is queued now would be answered if batches go on taking what they took; 0 if it runs at once.

        An idle node takes any job: only so can it find out that it has become fast again.
        """
        if not self._running or not self._took_s:
            return 0.0
        now_s, took_s = time.monotonic(), min(self._took_s)
        running_until_s = max(now_s, self._started_s + took_s)
        return running_until_s + took_s * (1 + len(self._queue) // MAX_BATCH)

    def _start_or_gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a batch now, or after the window that its first job opens."""
        if self._window_s and len(self._queue) < MAX_BATCH:
            if self._gathering is None:
                self._gathering = loop.call_later(self._window_s, self._start_batch)
            return
        self._start_batch()

    def _start_batch(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._batch = batch = self._next_batch()
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
            if queued[1].done():
                continue
            if queued[2] > now_s:
                batch.append(queued)
            else:  # nobody looks at it any more
                queued[1].set_exception(DeadlinePassed())
        return batch

    def _run(self, jobs: list[Job]) -> list[Ranking]:
        if self._encoded is None:
            return _rankings(jobs, *self._accelerator.run(collate(jobs)))
        windows = [Window.of(job.user, job.history) for job in jobs]
        split = self._encoded.split(windows, degraded=self._accelerator.degraded)
        order = split.hits + split.misses
        outputs, device = self._accelerator.run(collate([jobs[at] for at in order], split))
        if split.misses:
            usual = device == self._accelerator.name
            self._encoded.keep([windows[at] for at in split.misses], outputs["user"][len(split.hits) :], usual=usual)
        rankings = _rankings([jobs[at] for at in order], outputs, device)
        return [ranking for _, ranking in sorted(zip(order, rankings, strict=True), key=itemgetter(0))]

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


def _rankings(jobs: Sequence[Job], outputs: Arrays, accelerator: str) -> list[Ranking]:
    items, scores, users = outputs["items"], outputs["scores"], outputs["user"]
    return [Ranking(items[row, : job.k], scores[row, : job.k], users[row], accelerator) for row, job in enumerate(jobs)]


def collate(jobs: Sequence[Job], split: Split | None = None) -> Arrays:
    """Return ``history`` int64 [batch, length] left-padded, ``seen`` int64 [batch, n], ``k`` int64 [1].

    Where the vectors of the first jobs are known, ``history`` has rows of the others only, and ``known`` float32
    [known, d] is what ``split`` found.
    """
    known: Vectors | None = split.vectors if split and split.hits else None
    encoded = jobs if known is None else jobs[len(known) :]
    feeds: Arrays = {
        "history": _padded([job.history for job in encoded], left=True),
        "seen": _padded([job.seen for job in jobs], left=False),
        "k": np.array([max(1, *(job.k for job in jobs))], dtype=np.int64),
    }
    return feeds if known is None else {**feeds, "known": known}


def _padded(rows: Sequence[Sequence[int]], *, left: bool) -> NDArray[np.int64]:
    """int64 [len(rows), longest, at least 1], with 0 where a row is shorter."""
    width = max(map(len, rows), default=0) or 1
    full = [row for row in rows if len(row) == width and isinstance(row, array)]
    if len(full) == len(rows):  # as they come from the store, of users who have done as much as the model takes in
        return np.frombuffer(b"".join(full), dtype=np.int32).reshape(len(rows), width).astype(np.int64)
    padded = np.zeros((len(rows), width), dtype=np.int64)
    for place, row in zip(padded, rows, strict=True):
        if row:
            place[slice(width - len(row), None) if left else slice(len(row))] = row
    return padded
