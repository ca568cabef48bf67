"""Windows cover a sequence, keep to their user, and know what time says and what it does not."""

from __future__ import annotations

import numpy as np
import torch

from recsvc.windows import Timed, windows


def test_windows_predict_every_item_but_the_first_and_never_cross_users() -> None:
    sequences = [np.arange(1, 24), np.arange(30, 34), np.array([40])]
    rows = list(windows(sequences, 5, 4, np.random.default_rng(0)))
    targets = set()
    for history, target in rows:
        assert history.shape[1] == target.shape[1] <= 5
        assert history.numel() <= 4 * 5
        known = (history != 0) & (target != 0)
        assert torch.equal(history[known] + 1, target[known])
        targets |= set(target[known].tolist())
    assert targets == {*range(2, 24), 31, 32, 33}


def test_only_what_shares_a_second_changes_places() -> None:
    times = np.array([5, 7, 7, 7, 9, 9, 12])
    timed = Timed((np.arange(1, 8),), (times,))
    orders = {tuple(next(timed.shuffled(np.random.default_rng(seed))).tolist()) for seed in range(100)}
    assert len(orders) == 6 * 2
    assert {order[0] for order in orders} == {1}
    assert {frozenset(order[1:4]) for order in orders} == {frozenset({2, 3, 4})}
    assert {order[6] for order in orders} == {7}


def test_where_time_says_nothing_the_order_of_the_file_stays() -> None:
    sequences = (np.arange(1, 8), np.arange(1, 5))
    timed = Timed(sequences, (np.zeros(7, dtype=np.int64), np.arange(4)))
    for seed in range(5):
        kept = list(timed.shuffled(np.random.default_rng(seed)))
        assert all(np.array_equal(one, other) for one, other in zip(kept, sequences, strict=True))
