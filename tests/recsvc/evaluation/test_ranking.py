"""Ranks and lists against a full sort, against trec_eval's figures, and at the edges."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, Success, nDCG

from recsvc import evaluation
from recsvc.evaluation import ranking
from recsvc.evaluation.figures import Indices, Scores


def sorted_in_full(scores: Scores, seen: Indices) -> list[int]:
    """Catalogue indices from best to worst, without those seen: the slow way, item by item."""
    return sorted(set(range(1, len(scores))) - set(seen.tolist()), key=lambda item: (-scores[item], item))


@st.composite
def asked(draw: st.DrawFn) -> tuple[Scores, list[Indices], Indices]:
    """Scores of few distinct values, so that ties are many; what each user has seen; and the right items."""
    users, items = draw(st.integers(1, 6)), draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(-3, draw(st.integers(-2, 40)), (users, items + 1)).astype(np.float32)
    targets = rng.integers(1, items + 1, users)
    seen = [rng.permutation(np.setdiff1d(np.arange(1, items + 1), [t]))[: rng.integers(0, items)] for t in targets]
    return scores, seen, targets


@settings(deadline=None, max_examples=150)
@given(asked(), st.integers(1, 40), st.integers(1, 200))
def test_ranks_and_lists_are_those_of_a_full_sort(
    case: tuple[Scores, list[Indices], Indices], k: int, chunk: int
) -> None:
    scores, seen, targets = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_CHUNK_VALUES", chunk)
        found = evaluation.rank(
            lambda rows: scores[rows].copy(), seen, targets, items=scores.shape[1] - 1, list_length=k
        )
    for user, target in enumerate(targets):
        order = sorted_in_full(scores[user], seen[user])
        assert found.masked[user] == order.index(target)
        assert found.unmasked[user] == sorted_in_full(scores[user], np.array([], int)).index(target)
        assert [item for item in found.lists[user] if item] == order[:k]


def test_figures_are_those_of_trec_eval() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(60, 120)).astype(np.float32)
    targets = rng.integers(1, 120, 60)
    seen = [np.setdiff1d(rng.integers(1, 120, 30), [target]) for target in targets]
    ranks = evaluation.ranks(scores, seen, targets)
    right = [ir_measures.Qrel(str(user), str(target), 1) for user, target in enumerate(targets)]
    run = [
        ir_measures.ScoredDoc(str(user), str(item), float(scores[user, item]))
        for user in range(60)
        for item in sorted_in_full(scores[user], seen[user])
    ]
    measures = [Success @ 10, nDCG @ 10, nDCG @ 20, RR]
    figures = ir_measures.calc_aggregate(measures, right, run)
    assert evaluation.hit_ratio(ranks, 10) == pytest.approx(figures[Success @ 10])
    assert evaluation.ndcg(ranks, 10) == pytest.approx(figures[nDCG @ 10])
    assert evaluation.ndcg(ranks, 20) == pytest.approx(figures[nDCG @ 20])
    assert evaluation.reciprocal_rank(ranks) == pytest.approx(figures[RR])


def test_scores_that_are_not_numbers_are_no_perfect_rank() -> None:
    scores = np.array([[0, 1, 2], [0, np.nan, 1]], dtype=np.float32)
    nothing = [np.array([], dtype=np.int64)] * 2
    with pytest.raises(ValueError, match="users 0 to 1: a score is not a number"):
        evaluation.ranks(scores, nothing, np.array([1, 1]))


def test_what_was_given_stays_as_it_was() -> None:
    scores = np.ones((2, 4), dtype=np.float32)
    evaluation.ranks(scores, [np.array([2]), np.array([3])], np.array([1, 1]))
    assert (scores == 1).all()
