"""Figures against rankings worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recsvc import evaluation

SCORES = np.array([[9.0, 1.0, 4.0, 3.0, 3.0], [9.0, 5.0, 1.0, 2.0, 0.0]], dtype=np.float32)
SEEN = [np.array([2]), np.array([], dtype=np.int64)]


def test_padding_and_seen_items_do_not_count_and_ties_go_to_the_lower_index() -> None:
    assert evaluation.ranks(SCORES, SEEN, np.array([3, 4])).tolist() == [0, 3]
    assert evaluation.ranks(SCORES, SEEN, np.array([4, 1])).tolist() == [1, 0]


def test_figures_of_known_ranks() -> None:
    ranks = np.array([0, 9, 10, 30])
    assert evaluation.hit_ratio(ranks, 10) == 0.5
    assert evaluation.ndcg(ranks, 10) == pytest.approx((1 + 1 / np.log2(11)) / 4)
    assert evaluation.reciprocal_rank(ranks) == pytest.approx((1 + 1 / 10 + 1 / 11 + 1 / 31) / 4)
    figures = evaluation.report(ranks, "popularity_")
    assert figures["popularity_recall_at_20"] == 0.75
    assert figures["popularity_hr_at_10_standard_error"] == 0.25


def test_popularity_counts() -> None:
    assert evaluation.popularity([np.array([1, 3]), np.array([3])], 4).tolist() == [0, 1, 0, 2, 0]
