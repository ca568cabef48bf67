"""Whole answers are kept for identical requests, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recsvc.application import Answer
from recsvc.bundle import Bundle
from recsvc.pseudonym import Pseudonymiser
from recsvc.responses import Responses, key_of
from recsvc.seed import seed
from tests.recsvc.serving.cluster import Cluster, Node, eventually


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[tuple[Node, Node]]:
    """Two nodes over one store, both with a response cache."""
    cluster = Cluster(tmp_path_factory.mktemp("cached"), bundle)
    try:
        store = cluster.store("store")
        seed(Bundle.load(bundle), Pseudonymiser.from_file(cluster.key_file), ("127.0.0.1", store.port))
        one, other = (
            cluster.node(
                f"primary/node-{number}", store, "--response-cache-mb", "1",
                replication="async", accelerator="simulated",
            )
            for number in (1, 2)
        )  # fmt: skip
        yield one, other
    finally:
        cluster.close()


def recommend(node: Node, **request: object) -> httpx.Response:
    answer = node.http.post("/v1/recommend", json={"user": "u1", "k": 5, **request})
    assert answer.status_code == 200, answer.text
    return answer


def hit(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("x-recsvc-cache") == "hit")


def test_the_same_request_gets_the_same_bytes_and_another_one_its_own(two_nodes: tuple[Node, Node]) -> None:
    node, _ = two_nodes
    first = recommend(node)
    again = recommend(node)
    assert (hit(first), hit(again)) == (False, True)
    assert again.content == first.content
    assert again.headers["x-recsvc-model"] == first.headers["x-recsvc-model"]
    assert not hit(recommend(node, k=6))
    assert not hit(recommend(node, user="u2"))
    searched = [node.http.post("/v1/search", json={"user": "u1", "query": q}) for q in ("wars", "wars", "stars")]
    assert [hit(answer) for answer in searched] == [False, True, False]
    text = node.http.get("/metrics").text
    assert 'recsvc_response_cache_lookups_total{result="hit"} 2' in text


def test_an_event_that_another_node_took_changes_the_next_answer(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    before = [recommend(node, user="u2") for _ in range(2)][1]
    item = before.json()["items"][0]
    assert other.event("elsewhere-1", "u2", item).status_code == 200
    after = recommend(node, user="u2")
    assert not hit(after)
    assert item not in after.json()["items"]


def test_a_degraded_answer_is_neither_kept_nor_replaced_by_a_kept_one(two_nodes: tuple[Node, Node]) -> None:
    node, _ = two_nodes
    sound = [recommend(node, k=7) for _ in range(2)][1]
    assert hit(sound)
    try:
        assert node.admin.post("/accelerator/fail", json={"layer": "simulated"}).status_code == 200
        recommend(node, k=8)  # finds out
        for _ in range(2):
            answer = recommend(node, k=7)
            assert answer.json()["degraded"]
            assert not hit(answer)
    finally:
        node.admin.post("/accelerator/restore")
        eventually(lambda: node.state()["accelerator_state"] == "ok")
    again = recommend(node, k=7)
    assert hit(again)
    assert not again.json()["degraded"]
    assert not hit(recommend(node, k=8))


def test_without_the_option_nothing_is_kept(node: Node) -> None:
    assert not any(hit(recommend(node)) for _ in range(3))


def test_each_thing_that_an_answer_depends_on_makes_another_key() -> None:
    keys = {
        key_of("recommend", b'{"k":5}', "v1", [1, 2]),
        key_of("search", b'{"k":5}', "v1", [1, 2]),
        key_of("recommend", b'{"k":6}', "v1", [1, 2]),
        key_of("recommend", b'{"k":5}', "v2", [1, 2]),
        key_of("recommend", b'{"k":5}', "v1", [2, 1]),
        key_of("recommend", b'{"k":5}', "v1", [1, 2, 0]),
    }
    assert len(keys) == 6


def test_the_cache_keeps_to_its_bytes_and_lets_go_of_what_was_not_used_for_longest() -> None:
    responses = Responses(2_000)
    answer = Answer(b"x" * 500)
    for key in (b"a", b"b"):
        responses.keep(key, answer)
    assert responses.find(b"a") is not None
    responses.keep(b"c", answer)
    assert [responses.find(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    assert responses.bytes <= 2_000
    responses.keep(b"huge", Answer(b"x" * 3_000))
    assert responses.find(b"huge") is None
    responses.keep(b"lost", Answer(b"y", degraded=True))
    assert responses.find(b"lost") is None
    assert len(responses) == 2
