"""One suite over all baselines, on a checkerboard whose right answer is known.

Even users take even items, odd users odd ones, each all of its colour but one: that one comes first, for every
baseline that looks at users. Popularity does not, and must fail.
"""

from __future__ import annotations

import numpy as np
import pytest

from recsvc.baselines import KINDS, EaseKind, Kind, ease
from recsvc.baselines.base import Indices

SIDE = 50


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def checkerboard() -> list[Indices]:
    """User ``n`` has the items of its colour but item ``n + 1``."""
    return [np.array([item for item in range(1, SIDE + 1) if (item - 1 - user) % 2 == 0 and item != user + 1])
            for user in range(SIDE)]  # fmt: skip


def first_choice(choice: Kind) -> dict[str, float]:
    return dict(choice.grid[0]) if choice.grid else {}


def firsts(kind: Kind) -> list[int]:
    """Each user's first recommendation among the items not seen."""
    board = checkerboard()
    scores = kind.fit(board, SIDE, first_choice(kind)).scores(board)
    scores[:, 0] = -np.inf
    for row, items in zip(scores, board, strict=True):
        row[items] = -np.inf
    return [int(best) for best in scores.argmax(axis=1)]


def test_the_missing_square_comes_first_for_who_looks_at_users(kind: Kind) -> None:
    right = firsts(kind) == list(range(1, SIDE + 1))
    assert right == (kind.name != "popularity")


def test_scores_are_float32_for_any_history(kind: Kind) -> None:
    fitted = kind.fit(checkerboard(), SIDE, first_choice(kind))
    histories = [np.array([1, 3]), np.array([], dtype=np.int64), np.array([SIDE])]
    scores = fitted.scores(histories)
    assert (scores.shape, scores.dtype) == ((3, SIDE + 1), np.float32)
    assert np.isfinite(scores).all()


def test_who_has_no_history_gets_what_is_popular(kind: Kind) -> None:
    board = [np.array([1, 2, 3]), np.array([2, 3]), np.array([3]), np.array([], dtype=np.int64)]
    scores = kind.fit(board, 4, first_choice(kind)).scores([board[3], board[0]])
    assert scores[0].tolist() == [0, 1, 2, 3, 0]


def test_the_same_input_gives_the_same_scores(kind: Kind) -> None:
    board = checkerboard()
    once, again = (kind.fit(board, SIDE, first_choice(kind)).scores(board) for _ in range(2))
    assert np.array_equal(once, again)


def test_ease_is_the_minimum_of_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the minimum, with G = X'X, the gradient (G + l2 I) B - G vanishes off the diagonal, where B is free."""
    rng = np.random.default_rng(5)
    sequences = [rng.permutation(np.arange(1, 31))[: rng.integers(2, 12)] for _ in range(200)]
    monkeypatch.setattr(ease, "_BLOCK", 7)
    weights = EaseKind().fit(sequences, 30, {"l2": 7.0}).weights.astype(np.float64)
    x = np.zeros((200, 31))
    for user, items in enumerate(sequences):
        x[user, items] = 1
    gradient = (x.T @ x + 7.0 * np.eye(31)) @ weights - x.T @ x
    np.fill_diagonal(gradient, 0)
    assert np.abs(gradient).max() < 1e-3
    assert (np.diag(weights) == 0).all()
    assert np.abs(weights).max() > 0.1


def test_ease_says_why_it_is_not_fitted_to_a_large_catalogue() -> None:
    assert EaseKind().refuses(10_000) is None
    assert "at most 10,000 items" in (EaseKind().refuses(10_001) or "")
