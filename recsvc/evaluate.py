"""How good a ranking is: leave-one-out, over the full catalogue, items the user has seen masked.

Each evaluated user has one right item, so recall@k equals the hit ratio HR@k. Of equal scores the lower
catalogue index ranks first, which decides a good part of what popularity scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Scores = NDArray[np.float32]


def ranks(user_scores: Scores, seen: Sequence[Indices], targets: Indices) -> Indices:
    """Return for each user how many unseen items rank above the target: 0 means it came first.

    ``user_scores`` float32 ``[users, items + 1]`` with padding in column 0; ``seen`` one array of catalogue
    indices a user; ``targets`` int64 ``[users]``, none of them seen.
    """
    scores = user_scores.copy()
    scores[:, 0] = -np.inf
    for row, indices in enumerate(seen):
        scores[row, indices] = -np.inf
    own = scores[np.arange(len(targets)), targets][:, None]
    before = np.arange(scores.shape[1])[None, :] < targets[:, None]
    above = (scores > own) | ((scores == own) & before)
    counts: Indices = above.sum(axis=1, dtype=np.int64)
    return counts


def hit_ratio(target_ranks: Indices, k: int) -> float:
    """Share of users whose right item is among the first ``k``."""
    return float((target_ranks < k).mean())


def ndcg(target_ranks: Indices, k: int) -> float:
    """NDCG@k with one relevant item: the mean of 1 / log2(rank + 2) over hits, 0 for misses."""
    return float(np.where(target_ranks < k, 1.0 / np.log2(target_ranks + 2.0), 0.0).mean())


def reciprocal_rank(target_ranks: Indices) -> float:
    """MRR over the whole catalogue."""
    return float((1.0 / (target_ranks + 1.0)).mean())


def popularity(sequences: Sequence[Indices], items: int) -> Scores:
    """How often each item occurs: float32 ``[items + 1]``."""
    return np.bincount(np.concatenate(sequences), minlength=items + 1).astype(np.float32)


def report(target_ranks: Indices, prefix: str = "") -> dict[str, float]:
    """The figures of a manifest; ``hr_at_10_standard_error`` is that of a proportion over the users."""
    hits = hit_ratio(target_ranks, 10)
    figures = {
        "hr_at_10": hits,
        "hr_at_10_standard_error": float(np.sqrt(hits * (1 - hits) / len(target_ranks))),
        "ndcg_at_10": ndcg(target_ranks, 10),
        "recall_at_20": hit_ratio(target_ranks, 20),
        "mrr": reciprocal_rank(target_ranks),
    }
    return {prefix + name: round(value, 5) for name, value in figures.items()}
