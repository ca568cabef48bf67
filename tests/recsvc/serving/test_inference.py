"""Batching and the accelerator's states, over the tiny model in onnxruntime."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from recsvc.accelerator import (
    MODEL,
    Accelerator,
    AcceleratorState,
    Arrays,
    Boundary,
    NotFailable,
    SessionDevice,
    SimulatedDevice,
    open_accelerator,
    sample_feeds,
)
from recsvc.inference import MAX_BATCH, Batcher, DeadlinePassed, Job, Overloaded, collate
from tests.recsvc.serving import tiny_bundle

SAMPLE = sample_feeds(1, 1, 1)


@pytest.fixture
def accelerator(bundle: Path) -> Accelerator:
    """One whose trial runs are given by hand: who gives them otherwise is tested in test_accelerator.py."""
    boundary = Boundary()
    device = SimulatedDevice(bundle / "model.onnx", 1, boundary)
    return Accelerator(device, SessionDevice("cpu", bundle / "model.onnx", 1), boundary=boundary)


class Gate:
    """A device that computes nothing until it is opened: only so can a test hold a batch in flight."""

    name = "gate"

    def __init__(self, device: SessionDevice) -> None:
        self.opened, self.entered, self._device = threading.Event(), threading.Event(), device

    def run(self, feeds: Arrays, graph: str = MODEL) -> Arrays:
        self.entered.set()
        assert self.opened.wait(10)
        return self._device.run(feeds, graph)

    def warm_up(self, feeds: Arrays, graph: str = MODEL) -> None:
        self._device.warm_up(feeds, graph)

    def revive(self) -> bool:
        return False

    def fail(self, layer: str) -> None:
        raise NotFailable(layer)

    def restore(self) -> None:
        """Nothing was failed."""

    def close(self) -> None:
        """It has no process."""


def expected(history: list[int], k: int) -> list[int]:
    scores = tiny_bundle.embeddings() @ tiny_bundle.user_vector(history)
    scores[[0, *history]] = -np.inf
    return [int(index) for index in np.argsort(-scores)[:k]]


def test_jobs_of_different_lengths_do_not_disturb_each_other(accelerator: Accelerator) -> None:
    jobs = [Job(list(range(1, n + 1)), list(range(1, n + 1)), 1 + n % 7) for n in range(30)]

    async def story() -> None:
        batcher = Batcher(accelerator, max_queue=100, observe=lambda size: None)
        rankings = await asyncio.gather(*(batcher.rank(job, time.monotonic() + 5) for job in jobs))
        batcher.close()
        for job, ranking in zip(jobs, rankings, strict=True):
            assert ranking.items.tolist() == expected(list(job.history), job.k)
            assert np.allclose(ranking.user, tiny_bundle.user_vector(list(job.history)), atol=1e-5)

    asyncio.run(story())


def test_collate_pads_histories_on_the_left() -> None:
    feeds = collate([Job([1, 2, 3], [1, 2, 3, 4], 5), Job([], [], 2), Job([7], [7], 9)])
    assert feeds["history"].tolist() == [[1, 2, 3], [0, 0, 0], [0, 0, 7]]
    assert feeds["seen"].tolist() == [[1, 2, 3, 4], [0, 0, 0, 0], [7, 0, 0, 0]]
    assert feeds["k"].tolist() == [9]


def test_what_queues_behind_a_batch_makes_up_the_next(bundle: Path) -> None:
    gate, sizes = Gate(SessionDevice("cpu", bundle / "model.onnx", 1)), list[float]()

    async def story() -> None:
        batcher = Batcher(Accelerator(gate, None), max_queue=100, observe=sizes.append)
        deadline_s = time.monotonic() + 10
        jobs = [asyncio.create_task(batcher.rank(Job([1], [1], 3), deadline_s)) for _ in range(MAX_BATCH + 11)]
        await asyncio.to_thread(gate.entered.wait, 5)
        assert batcher.waiting == MAX_BATCH + 10
        gate.opened.set()
        await asyncio.gather(*jobs)
        batcher.close()

    asyncio.run(story())
    assert sizes == [1, MAX_BATCH, 10]


def test_a_job_that_is_left_out_of_a_batch_because_its_deadline_passed_is_told_so(bundle: Path) -> None:
    gate = Gate(SessionDevice("cpu", bundle / "model.onnx", 1))

    async def story() -> None:
        batcher = Batcher(Accelerator(gate, None), max_queue=2, observe=lambda size: None)
        running = asyncio.create_task(batcher.rank(Job([], [], 3), time.monotonic() + 10))
        await asyncio.to_thread(gate.entered.wait, 5)
        late = asyncio.create_task(batcher.rank(Job([], [], 3), time.monotonic() + 0.02))
        await asyncio.sleep(0)
        time.sleep(0.03)  # so that the batch is put together before anybody has looked
        assert batcher._next_batch() == []
        with pytest.raises(DeadlinePassed):
            await asyncio.wait_for(late, 5)
        gate.opened.set()
        await running
        batcher.close()

    asyncio.run(story())


def test_full_queue_and_passed_deadline_are_refused(bundle: Path) -> None:
    gate = Gate(SessionDevice("cpu", bundle / "model.onnx", 1))

    async def story() -> None:
        batcher = Batcher(Accelerator(gate, None), max_queue=2, observe=lambda size: None)
        running = asyncio.create_task(batcher.rank(Job([], [], 3), time.monotonic() + 10))
        await asyncio.to_thread(gate.entered.wait, 5)
        late = [asyncio.create_task(batcher.rank(Job([], [], 3), time.monotonic() + 0.1)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await batcher.rank(Job([], [], 3), time.monotonic() + 10)
        for job in late:
            with pytest.raises(DeadlinePassed):
                await job
        gate.opened.set()
        assert len((await running).items) == 3
        batcher.close()

    asyncio.run(story())


def test_what_could_not_be_answered_in_time_is_refused_at_once_and_an_idle_node_takes_it(
    accelerator: Accelerator,
) -> None:
    accelerator.slow(0.3)

    async def story() -> None:
        batcher = Batcher(accelerator, max_queue=100, observe=lambda size: None)
        for _ in range(2):  # so that it knows its pace
            await batcher.rank(Job([], [], 3), time.monotonic() + 10)
        running = asyncio.create_task(batcher.rank(Job([], [], 3), time.monotonic() + 10))
        await asyncio.sleep(0)
        asked_s = time.monotonic()
        with pytest.raises(Overloaded):  # what runs takes 0.3 s, and so would the batch after it
            await batcher.rank(Job([], [], 3), asked_s + 0.4)
        assert time.monotonic() - asked_s < 0.2
        patient = asyncio.create_task(batcher.rank(Job([], [], 3), time.monotonic() + 10))
        assert len((await running).items) == len((await patient).items) == 3
        with pytest.raises(DeadlinePassed):  # nothing runs: it is tried, and takes its time
            await batcher.rank(Job([], [], 3), time.monotonic() + 0.1)
        batcher.close()

    asyncio.run(story())


def test_a_model_that_is_replaced_answers_what_it_was_asked(accelerator: Accelerator) -> None:
    accelerator.slow(0.1)

    async def story() -> None:
        batcher = Batcher(accelerator, max_queue=100, observe=lambda size: None)
        asked = [asyncio.create_task(batcher.rank(Job([1], [1], 3), time.monotonic() + 10)) for _ in range(5)]
        await asyncio.sleep(0)
        await batcher.drain()
        rankings = await asyncio.wait_for(asyncio.gather(*asked), 1)  # all computed by now
        assert [ranking.items.tolist() for ranking in rankings] == [expected([1], 3)] * 5

    asyncio.run(story())


def test_lost_accelerator_degrades_then_recovers_after_three_trials(accelerator: Accelerator) -> None:
    before, device = accelerator.run(SAMPLE)
    assert device == "simulated"
    accelerator.fail("simulated")
    during, device = accelerator.run(SAMPLE)
    assert (device, accelerator.state) == ("cpu", AcceleratorState.DEGRADED)
    assert all(np.array_equal(before[name], during[name]) for name in before)
    accelerator.try_again(SAMPLE)
    assert accelerator.state is AcceleratorState.DEGRADED
    accelerator.restore()
    states = []
    for _ in range(3):
        accelerator.try_again(SAMPLE)
        states.append(accelerator.state)
        assert accelerator.degraded == (accelerator.run(SAMPLE)[1] == "cpu")
    assert states == [AcceleratorState.RECOVERING, AcceleratorState.RECOVERING, AcceleratorState.OK]
    assert accelerator.reason is None


def test_relapse_while_recovering_starts_over(accelerator: Accelerator) -> None:
    accelerator.fail("simulated")
    accelerator.run(SAMPLE)
    accelerator.restore()
    accelerator.try_again(SAMPLE)
    accelerator.fail("simulated")
    accelerator.try_again(SAMPLE)
    accelerator.restore()
    accelerator.try_again(SAMPLE)
    accelerator.try_again(SAMPLE)
    assert accelerator.state is AcceleratorState.RECOVERING


def test_wrong_input_is_no_reason_to_give_the_accelerator_up(accelerator: Accelerator) -> None:
    with pytest.raises(ValueError, match="history"):
        accelerator.run({"seen": SAMPLE["seen"], "k": SAMPLE["k"]})
    assert accelerator.state is AcceleratorState.OK


def test_failing_the_wrong_layer_is_refused(accelerator: Accelerator, bundle: Path) -> None:
    with pytest.raises(NotFailable, match="simulated"):
        accelerator.fail("context")
    with pytest.raises(NotFailable, match="--accelerator simulated"):
        open_accelerator("cpu", bundle / "model.onnx", 1, SAMPLE).fail("simulated")


def test_a_window_lets_a_batch_wait_for_company_but_not_once_it_is_full(accelerator: Accelerator) -> None:
    sizes = list[float]()

    async def story() -> None:
        batcher = Batcher(accelerator, max_queue=1000, observe=sizes.append, window_s=0.3)
        first = asyncio.create_task(batcher.rank(Job([1], [1], 3), time.monotonic() + 10))
        await asyncio.sleep(0.05)
        assert batcher.waiting == 1
        await asyncio.gather(first, batcher.rank(Job([2], [2], 3), time.monotonic() + 10))
        assert sizes == [2]
        full = [batcher.rank(Job([1], [1], 3), time.monotonic() + 10) for _ in range(MAX_BATCH)]
        begun_s = time.monotonic()
        await asyncio.gather(*full)
        assert time.monotonic() - begun_s < 0.3  # less than the window, which would have had to pass first
        assert sizes == [2, MAX_BATCH]
        batcher.close()

    asyncio.run(story())
