"""Users whose vector is known are answered as if it were not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc.accelerator import Accelerator, AcceleratorState, Arrays, open_accelerator, sample_feeds
from recsvc.encoded import EncodedUsers, Window
from recsvc.inference import Batcher, Job, Ranking
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Node

D, LONGEST = tiny_bundle.DIMENSIONS, tiny_bundle.MAX_LENGTH
SAMPLE = sample_feeds(1, 1, 1)


@pytest.fixture(scope="module")
def cpu(bundle: Path) -> Accelerator:
    return open_accelerator("cpu", bundle / "model.onnx", 1, SAMPLE)


class Counting:
    """The accelerator, with how many histories it was asked to encode in each run."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator, self.encoded = accelerator, list[int]()

    def run(self, feeds: Arrays) -> tuple[Arrays, str]:
        self.encoded.append(len(feeds["history"]))
        return self._accelerator.run(feeds)

    @property
    def name(self) -> str:
        return self._accelerator.name

    @property
    def degraded(self) -> bool:
        return self._accelerator.degraded


def cache(entries: int = 100) -> EncodedUsers:
    probe = EncodedUsers(D, LONGEST, 10_000)
    return EncodedUsers(D, LONGEST, entries * probe.entry_bytes)


def ask(accelerator: Accelerator | Counting, batches: list[list[Job]], encoded: EncodedUsers | None) -> list[Ranking]:
    """The rankings of ``batches``, each asked when the one before is answered."""

    async def story() -> list[Ranking]:
        batcher = Batcher(accelerator, max_queue=1000, observe=lambda size: None, encoded=encoded)  # type: ignore[arg-type]
        answers: list[Ranking] = []
        for jobs in batches:
            answers += await asyncio.gather(*(batcher.rank(job, time.monotonic() + 10) for job in jobs))
        batcher.close()
        return answers

    return asyncio.run(story())


users = st.sampled_from(["", "a", "b", "c", "d"])
items = st.lists(st.integers(1, tiny_bundle.ITEMS), max_size=8)
jobs = st.builds(
    lambda user, history, k: Job(history, history, k, user), users, items, st.integers(1, tiny_bundle.ITEMS - 8)
)


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(jobs, min_size=1, max_size=6), min_size=1, max_size=8), entries=st.integers(1, 5))
def test_answers_are_those_of_a_node_that_encodes_each_time(
    cpu: Accelerator, batches: list[list[Job]], entries: int
) -> None:
    kept, anew = (ask(cpu, batches, encoded) for encoded in (cache(entries), None))
    for one, other in zip(kept, anew, strict=True):
        assert one.items.tolist() == other.items.tolist()
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.user, other.user, atol=1e-5)


def test_only_users_that_are_new_or_have_a_new_history_are_encoded(cpu: Accelerator) -> None:
    counting, encoded = Counting(cpu), cache()
    first, second = Job([1, 2], [1, 2], 3, "a"), Job([3], [3], 3, "b")
    ask(counting, [[first], [first, second], [second, first]], encoded)
    assert counting.encoded[0] == 1
    assert sum(counting.encoded) == 2
    ask(counting, [[replace(first, history=[1, 2, 4])], [first]], encoded)
    assert sum(counting.encoded) == 4  # the old history is forgotten once there is a newer one
    assert (len(encoded), encoded.bytes) == (2, 2 * encoded.entry_bytes)
    assert encoded.hits + encoded.misses == 7


def test_all_users_without_a_history_share_one_vector_and_nameless_ones_are_not_kept(cpu: Accelerator) -> None:
    counting, encoded = Counting(cpu), cache()
    ask(counting, [[Job([], [], 3, "a")], [Job([], [], 3, "b")], [Job([1], [1], 3)], [Job([1], [1], 3)]], encoded)
    assert counting.encoded == [1, 0, 1, 1]
    assert len(encoded) == 1


def test_a_full_cache_lets_go_of_what_was_not_used_for_longest() -> None:
    encoded = cache(2)
    a, b, c = (Window.of(user, [1]) for user in "abc")
    vectors = np.arange(3 * D, dtype=np.float32).reshape(3, D)
    encoded.keep([a, b], vectors[:2])
    encoded.split([a])
    encoded.keep([c], vectors[2:])
    split = encoded.split([a, b, c])
    assert (split.hits, split.misses, encoded.evicted) == ([0, 2], [1], 1)
    np.testing.assert_array_equal(split.vectors, vectors[[0, 2]])
    encoded.drop("a")
    encoded.drop("nobody known")
    encoded.keep([b], vectors[1:2])  # takes the place that became free
    assert (encoded.split([a, b, c]).hits, len(encoded), encoded.evicted, encoded.dropped) == ([1, 2], 2, 1, 1)


def test_what_the_fallback_encoded_in_fewer_bits_is_not_used_once_the_device_is_back() -> None:
    window, vector = Window.of("a", [1]), np.ones((1, D), dtype=np.float32)
    for one_file, back in ((False, []), (True, [0])):
        encoded = EncodedUsers(D, LONGEST, 100_000, one_file=one_file)
        encoded.keep([window], vector, usual=False)
        assert encoded.split([window], degraded=True).hits == [0]
        assert encoded.split([window]).hits == back


def test_a_cache_too_small_for_one_user_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no user vector"):
        EncodedUsers(D, LONGEST, 100)


def test_known_users_are_scored_by_the_fallback_too(bundle: Path) -> None:
    accelerator = open_accelerator("simulated", bundle / "model.onnx", 1, SAMPLE)
    encoded, job = cache(), Job([1, 2], [1, 2], 5, "a")
    try:
        before = ask(accelerator, [[job]], encoded)[0]
        accelerator.fail("simulated")
        during = ask(accelerator, [[job]], encoded)[0]
        assert (during.accelerator, accelerator.state) == ("cpu", AcceleratorState.DEGRADED)
    finally:
        accelerator.close()
    assert during.items.tolist() == before.items.tolist()
    assert encoded.hits == 1


def test_a_search_needs_the_model_only_for_users_it_does_not_know(node: Node) -> None:
    def batches() -> float:
        lines = node.http.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith("recsvc_batch_size_count "))

    def found() -> dict[str, object]:
        return dict(node.http.post("/v1/search", json={"user": "u1", "query": "film", "k": 10}).json())

    assert node.event("search-1", "u1", "i5").status_code == 200
    ran = batches()
    first = found()
    assert first["items"]
    assert batches() == ran + 1
    assert found() == first
    assert batches() == ran + 1
    assert node.event("search-2", "u1", "i6").status_code == 200
    assert found()["scores"] != first["scores"]
    assert batches() == ran + 2


def test_an_event_changes_the_next_answer_at_once_and_the_cache_says_what_it_did(node: Node) -> None:
    def counted(name: str) -> float:
        lines = node.http.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"recsvc_user_cache_{name} "))

    hit, miss = ('lookups_total{result="hit"}', 'lookups_total{result="miss"}')
    event = 'removed_total{reason="event"}'

    def recommended() -> dict[str, object]:
        return dict(node.http.post("/v1/recommend", json={"user": "u2", "k": 10}).json())

    first = recommended()
    hits = counted(hit)
    assert recommended() == first
    assert counted(hit) == hits + 1
    item = str(first["items"][0])  # type: ignore[index]
    dropped, misses = counted(event), counted(miss)
    assert node.event("cache-1", "u2", item).status_code == 200
    changed = recommended()
    assert item not in changed["items"]  # type: ignore[operator]
    assert changed["scores"] != first["scores"]
    assert (counted(event), counted(miss)) == (dropped + 1, misses + 1)
    assert counted("bytes") > 0
