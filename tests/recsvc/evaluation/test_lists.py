"""Coverage, novelty and popularity of lists, and the buckets, on examples done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recsvc.evaluation.beyond import Crowd, about_lists, coverage
from recsvc.evaluation.cold_start import as_if_new, buckets, withheld

# Seven users; item 1 is known to all, item 2 to three of them, item 3 to one, item 4 to nobody.
CROWD = Crowd(np.array([0, 7, 3, 1, 0], dtype=np.float32), 7)
LISTS = np.array([[1, 2], [4, 0], [1, 4]], dtype=np.int32)


def test_coverage_counts_items_and_not_padding() -> None:
    assert coverage(LISTS, 4) == 3 / 4
    assert coverage(LISTS[:, :1], 4) == 2 / 4


def test_novelty_is_the_information_of_meeting_an_item() -> None:
    assert CROWD.information_bits.tolist() == [0, 0, 1, 2, 3]
    seen = [np.array([3]), np.array([3]), np.array([], dtype=np.int64)]
    found = about_lists(LISTS, seen, CROWD)
    assert found["novelty_bits"].numerators.tolist() == [0.5, 3, 1.5]


def test_popularity_is_held_against_the_users_own_items() -> None:
    seen = [np.array([2, 3]), np.array([2]), np.array([], dtype=np.int64)]
    found = about_lists(LISTS, seen, CROWD)
    assert found["average_popularity"].numerators == pytest.approx([5 / 7, 0, 0.5])
    ratio = found["popularity_ratio"]
    assert ratio.denominators is not None
    # The third user has no history and so no say.
    assert ratio.numerators.sum() / ratio.denominators.sum() == pytest.approx((5 / 7) / (2 / 7 + 3 / 7))


def test_buckets_hold_everybody_once_and_empty_ones_are_left_out() -> None:
    counts = np.array([0, 0, 4, 5, 1000])
    found = list(buckets(counts, (0, 1, 5, 10, 20)))
    assert [(each.first, each.last, each.members.sum()) for each in found] == [
        (0, 0, 2),
        (1, 4, 1),
        (5, 9, 1),
        (20, None, 1),
    ]
    assert sum(each.weights for each in found).tolist() == [1] * 5


def test_withheld_histories_keep_the_newest() -> None:
    histories = [np.array([1, 2, 3]), np.array([4])]
    assert [each.tolist() for each in withheld(histories, 2)] == [[2, 3], [4]]
    assert [each.tolist() for each in withheld(histories, 0)] == [[], []]


def test_an_item_as_if_new_is_scored_by_its_content_alone() -> None:
    users = np.array([[1, 2], [3, 4]], dtype=np.float32)
    content = np.array([[0, 0], [10, 0], [0, 10]], dtype=np.float32)
    scorer = as_if_new(lambda rows: np.zeros((2, 3), np.float32)[rows], users, content, np.array([1, 2]))
    assert scorer(slice(0, 2)).tolist() == [[0, 10, 0], [0, 0, 40]]
    assert scorer(slice(1, 2)).tolist() == [[0, 0, 40]]
