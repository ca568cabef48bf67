"""What a rank is worth: leave-one-out figures of zero-based ranks, one right item a user.

With one right item a user, recall@k equals the hit ratio HR@k. `Ranking` says how the ranks come about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Scores = NDArray[np.float32]
Values = NDArray[np.float32]


def hits(target_ranks: Indices, k: int) -> Values:
    """1 for each user whose right item is among the first ``k``, else 0: float32 ``[users]``."""
    return (target_ranks < k).astype(np.float32)


def gains(target_ranks: Indices, k: int) -> Values:
    """Each user's NDCG@k with one relevant item, 1 / log2(rank + 2) or 0: float32 ``[users]``.

    The discount is that of Järvelin and Kekäläinen (2002); with one right item the ideal gain is 1.
    """
    return np.where(target_ranks < k, 1.0 / np.log2(target_ranks + 2.0), 0.0).astype(np.float32)


def reciprocals(target_ranks: Indices) -> Values:
    """Each user's reciprocal rank over the whole catalogue: float32 ``[users]``."""
    return (1.0 / (target_ranks + 1.0)).astype(np.float32)


def hit_ratio(target_ranks: Indices, k: int) -> float:
    """Share of users whose right item is among the first ``k``."""
    return float((target_ranks < k).mean())


def ndcg(target_ranks: Indices, k: int) -> float:
    """NDCG@k, the mean of `gains`."""
    return float(gains(target_ranks, k).mean(dtype=np.float64))


def reciprocal_rank(target_ranks: Indices) -> float:
    """MRR over the whole catalogue, the mean of `reciprocals`."""
    return float(reciprocals(target_ranks).mean(dtype=np.float64))


def popularity(sequences: Sequence[Indices], items: int) -> Scores:
    """How often each item occurs: float32 ``[items + 1]``."""
    counts = np.zeros(items + 1, dtype=np.int64)
    if sequences:
        counts += np.bincount(np.concatenate(sequences), minlength=items + 1)
    return counts.astype(np.float32)
