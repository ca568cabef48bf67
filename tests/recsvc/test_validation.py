"""What an epoch is judged by stays affordable as catalogues grow, and says the same."""

from __future__ import annotations

import numpy as np
import pytest

from recsvc import validation
from recsvc.validation import FEWEST_VALIDATED, MOST_SCORES, MOST_VALIDATED, Task, at_a_time, most_users

USERS, ITEMS, DIMENSIONS = 300, 50, 4


@pytest.fixture
def task() -> Task:
    rng = np.random.default_rng(0)
    histories = [rng.permutation(ITEMS)[:5] + 1 for _ in range(USERS)]
    return Task(tuple(histories), rng.integers(1, ITEMS + 1, USERS))


def test_fewer_users_are_asked_about_a_larger_catalogue() -> None:
    assert most_users(1_682) == most_users(27_000) == MOST_VALIDATED
    assert most_users(300_000) * 300_001 <= MOST_SCORES < (most_users(300_000) + 1) * 300_001
    assert most_users(100_000_000) == FEWEST_VALIDATED


def test_the_drawn_users_are_always_the_same_and_keep_their_targets(task: Task) -> None:
    large = MOST_SCORES // 120
    one, two = (Task.of(task.histories, task.targets, large) for _ in range(2))
    assert len(one.targets) == len(one.histories) == most_users(large) < USERS
    place = {id(history): number for number, history in enumerate(task.histories)}
    chosen = [place[id(history)] for history in one.histories]
    assert chosen == sorted(set(chosen)) == [place[id(history)] for history in two.histories]
    assert one.targets.tolist() == task.targets[chosen].tolist()
    assert len(Task.of(task.histories, task.targets, ITEMS).targets) == USERS


def test_scores_in_smaller_parts_give_the_same_figure(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    users = rng.normal(size=(USERS, DIMENSIONS)).astype(np.float32)
    table = rng.normal(size=(ITEMS + 1, DIMENSIONS)).astype(np.float32)
    whole, rows = task.ndcg_of(users, table), at_a_time(ITEMS)
    monkeypatch.setattr(validation, "_SCORES_IN_MEMORY", 7 * (ITEMS + 1))
    assert (rows, at_a_time(ITEMS)) == (validation.RANKED, 7)
    assert task.ndcg_of(users, table) == pytest.approx(whole, abs=1e-9)
    assert 0 < whole < 1
