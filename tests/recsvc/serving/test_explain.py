"""Explanations: Shapley values by their definition, over the tiny model, and as a node answers them."""

from __future__ import annotations

import asyncio
import math
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsvc.accelerator import open_accelerator, sample_feeds
from recsvc.explain import CHUNK, EXACT_PLAYERS, MAX_WAITING, NEWEST, RINGS, Explainer, Game, Plan, Shares, divide
from recsvc.inference import DRAIN_PERIOD_S, Batcher, Job, Overloaded
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Node

ITEMS = np.array([7, 9, 30])
HISTORIES = [[], [4], list(range(1, EXACT_PLAYERS + 1)), list(range(1, 31)), [5] * 12]


def by_definition(players: int, worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean gain over every order of arrival; ``worth`` [2 ** players, items]."""
    shares = np.zeros((players, worth.shape[1]))
    for order in permutations(range(players)):
        there = 0
        for player in order:
            shares[player] += worth[there | 1 << player] - worth[there]
            there |= 1 << player
    return shares / math.factorial(players)


@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_few_players_get_their_shapley_values(players: int, seed: int) -> None:
    worth = np.random.default_rng(seed).normal(size=(1 << players, 2))
    shares, errors = divide(Plan.of(players), worth)
    assert shares == pytest.approx(by_definition(players, worth))
    assert errors.tolist() == [0, 0]


@given(st.integers(EXACT_PLAYERS + 1, NEWEST + 1), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_many_players_shares_sum_to_the_whole_however_few_orders(players: int, seed: int) -> None:
    plan = Plan.of(players)
    worth = np.random.default_rng(seed).normal(size=(len(plan.coalitions), 3))
    shares, errors = divide(plan, worth)
    assert shares.sum(axis=0) == pytest.approx(worth[-1] - worth[0])
    assert (errors > 0).all()
    assert len(plan.coalitions) <= 2 + RINGS * players * (players - 1)


def test_sampled_shares_come_near_the_exact_ones() -> None:
    """Worths of a model that mixes its players: what is off is of the size that is stated."""
    generator = np.random.default_rng(3)
    players, items = 9, 200
    there = (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(np.float64)
    mixed = np.tanh(there @ generator.normal(size=(players, 16))) @ generator.normal(size=(16, items))
    exact, _ = divide(Plan(players, tuple(range(1 << players)), None), mixed)
    plan = Plan.of(players)
    shares, errors = divide(plan, mixed[list(plan.coalitions)])
    off = np.sqrt(np.square(shares - exact).mean())
    assert 0.5 < off / np.sqrt(np.square(errors).mean()) < 2
    assert off < 0.25 * np.abs(exact).mean()


def test_the_newest_are_players_and_the_rest_is_one() -> None:
    game = Game.of(list(range(1, 16)))
    assert (len(game.players), game.earlier) == (NEWEST + 1, 5)
    assert game.history(game.everyone) == list(range(1, 16))
    assert game.history(0b11) == [1, 2, 3, 4, 5, 6]
    assert Game.of([3, 3]).players == ((3,), (3,))
    assert Game.of([]).everyone == 0


async def explained(bundle: Path, history: list[int], explainer: Explainer, seen: list[int]) -> Shares:
    accelerator = open_accelerator("cpu", bundle / "model.onnx", 1, sample_feeds(1, 1, 1))
    batcher = Batcher(accelerator, max_queue=256, observe=lambda size: seen.append(int(size)))
    table = tiny_bundle.embeddings().astype(np.float64)
    shares = await explainer.explain(batcher, history, lambda user: table[ITEMS] @ user, time.monotonic() + 20)
    batcher.close()
    return shares


@pytest.mark.parametrize("history", HISTORIES, ids=len)
def test_a_model_that_adds_its_items_up_is_divided_into_them(bundle: Path, history: list[int]) -> None:
    """The tiny model's user vector is a sum over the history: every item gives what it would give alone."""
    batches: list[int] = []
    shares = asyncio.run(explained(bundle, history, Explainer(), batches))
    table = tiny_bundle.embeddings()
    assert shares.base == pytest.approx(table[ITEMS] @ tiny_bundle.prior(), abs=1e-5)
    assert shares.total == pytest.approx(table[ITEMS] @ tiny_bundle.user_vector(history), abs=1e-5)
    for player, given_ in zip(shares.game.players, shares.contributions, strict=True):
        alone = table[ITEMS] @ table[list(player)].sum(axis=0) / tiny_bundle.MAX_LENGTH
        assert given_ == pytest.approx(alone, abs=1e-5)
    assert shares.base + shares.contributions.sum(axis=0) == pytest.approx(shares.total)
    assert max(batches) <= CHUNK
    assert sum(batches) == shares.runs


def test_others_are_answered_between_and_too_many_explanations_are_refused(bundle: Path) -> None:
    accelerator = open_accelerator("simulated", bundle / "model.onnx", 1, sample_feeds(1, 1, 1))
    accelerator.slow(0.02)

    async def story() -> None:
        batcher = Batcher(accelerator, max_queue=256, observe=lambda size: None)
        explainer, deadline_s = Explainer(), time.monotonic() + 30
        everything = list(range(1, 31))
        asked = [
            asyncio.create_task(explainer.explain(batcher, everything, lambda user: user[:1].astype(float), deadline_s))
            for _ in range(MAX_WAITING + 2)
        ]
        await asyncio.sleep(0)
        other = await batcher.rank(Job([1], [1], 3), deadline_s)
        assert len(other.items) == 3
        assert not any(task.done() and task.exception() is None for task in asked), "it did not wait for them"
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in done].count(Overloaded) == 1
        assert [type(result) for result in done].count(Shares) == MAX_WAITING + 1
        batcher.close()

    asyncio.run(story())


def test_a_retired_batcher_answers_those_who_go_on_asking_it(bundle: Path) -> None:
    accelerator = open_accelerator("cpu", bundle / "model.onnx", 1, sample_feeds(1, 1, 1))

    async def story() -> None:
        batcher = Batcher(accelerator, max_queue=256, observe=lambda size: None)
        with batcher.held():  # as a request that was ranked and is explained next
            draining = asyncio.create_task(batcher.drain())
            await asyncio.sleep(5 * DRAIN_PERIOD_S)
            shares = await Explainer().explain(
                batcher, [1, 2, 3], lambda user: user[:1].astype(float), time.monotonic() + 30
            )
            assert shares.runs == 8
        await asyncio.wait_for(draining, 10)
        with pytest.raises(Overloaded):  # and not an error of ours
            await batcher.rank(Job([1], [1], 3), time.monotonic() + 30)

    asyncio.run(story())


def ask(node: Node, path: str, **body: Any) -> dict[str, Any]:
    answer = node.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("user", ["u1", "u2", "u3", "nobody"])
def test_recommendations_are_explained_to_the_last_digit(node: Node, user: str) -> None:
    plain, answer = ask(node, "/v1/recommend", user=user, k=7), ask(node, "/v1/recommend", user=user, k=7, explain=True)
    assert {name: answer[name] for name in plain} == plain
    assert [entry["item"] for entry in answer["explanations"]] == answer["items"]
    history = tiny_bundle.HISTORIES.get(user, [])
    newest = history[::-1][:NEWEST]
    for entry, score in zip(answer["explanations"], answer["scores"], strict=True):
        assert entry["score"] == score
        past = sum(part["contribution"] for part in entry["history"])
        assert entry["base"] + entry["earlier"] + past == pytest.approx(score, abs=1e-9)
        assert sum(entry["parts"].values()) == pytest.approx(score, abs=1e-9)
        assert [part["item"] for part in entry["history"]] == newest
        assert all(part["title"].startswith("Film ") for part in entry["history"])
    how = answer["explained_by"]
    assert how["method"] == ("sampled" if len(history) > EXACT_PLAYERS else "exact")
    assert how["earlier_items"] == max(0, len(history) - NEWEST)


@pytest.mark.parametrize("user", ["u1", "u3", "nobody"])
def test_search_results_are_explained_in_words_and_past_items(node: Node, user: str) -> None:
    answer = ask(node, "/v1/search", user=user, query="stars dramx", k=5, explain=True)
    assert answer["matches"] == tiny_bundle.ITEMS
    for entry, score in zip(answer["explanations"], answer["scores"], strict=True):
        past = sum(part["contribution"] for part in entry["history"])
        assert entry["text"] + entry["base"] + entry["earlier"] + past == pytest.approx(score, abs=1e-9)
        spoken = sum(word["contribution"] for word in entry["words"])
        assert spoken + entry["whole_title"] == pytest.approx(entry["text"], abs=1e-9)
        assert sum(entry["parts"].values()) == pytest.approx(score, abs=1e-9)
        assert {word["word"]: word["understood"] for word in entry["words"]} == {"stars": ["exact"], "dramx": ["typo"]}


def test_a_query_that_matches_nothing_says_so(node: Node) -> None:
    answer = ask(node, "/v1/search", user="u1", query="zzz", explain=True)
    assert (answer["items"], answer["matches"], answer["explanations"]) == ([], 0, [])


def test_an_event_shows_in_the_next_explanation(node: Node) -> None:
    assert node.event("explained-1", user="explained", item="i11").status_code == 200
    entry = ask(node, "/v1/recommend", user="explained", k=1, explain=True)["explanations"][0]
    assert [part["item"] for part in entry["history"]] == ["i11"]


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/search"])
@pytest.mark.parametrize("bad", [{"explain": 1}, {"explain": "yes"}, {"explain": None}])
def test_bad_wishes_for_explanations_are_refused(node: Node, path: str, bad: dict[str, Any]) -> None:
    body = {"user": "u1", **({"query": "stars"} if path.endswith("search") else {}), **bad}
    answer: httpx.Response = node.http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:recsvc:problem:invalid"


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/search"])
def test_the_first_twenty_are_explained(node: Node, path: str) -> None:
    body = {"user": "u1", "k": 25, "explain": True, **({"query": "stars"} if path.endswith("search") else {})}
    answer = ask(node, path, **body)
    assert [entry["item"] for entry in answer["explanations"]] == answer["items"][:20]
    assert len(answer["items"]) <= 25
