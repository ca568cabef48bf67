"""Where the right item stands in a ranking of the whole catalogue, and what stands at its head.

Nothing is sorted in full: a rank is a count of what scores higher, a list a partial selection. Users go
through in chunks, so the scores of 138,000 users over 27,000 items never lie in memory together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.evaluation.figures import Indices, Scores

Scorer = Callable[[slice], Scores]
"""From a range of users to float32 ``[users, items + 1]``, a new array that may be written to; column 0 is padding."""

Tick = Callable[[int, int], None]
"""Called with how many users are ranked, and how many there are."""

_CHUNK_VALUES = 8_000_000
"""Scores in memory at once: 32 MB, beyond which a matrix product gains no speed."""


@dataclass(frozen=True)
class Ranking:
    """The ranks of each user's right item, 0 being the first, int64 ``[users]``, and the heads of the lists.

    ``masked``: among the items that the user has not seen, which is what a service shows. ``unmasked``: among
    all, which some papers report. ``lists`` int32 ``[users, k]``: the best unseen items, best first, 0 where
    there are no more.
    """

    masked: Indices
    unmasked: Indices
    lists: NDArray[np.int32]


def dot(users: Scores, table: Scores) -> Scorer:
    """Score as the service does: user vectors ``[users, d]`` times the item table ``[items + 1, d]``."""
    return lambda rows: users[rows] @ table.T


def rank(
    scorer: Scorer,
    seen: Sequence[Indices],
    targets: Indices,
    *,
    items: int,
    list_length: int = 0,
    tick: Tick = lambda done, total: None,
) -> Ranking:
    """Rank a catalogue of ``items`` for each user; of equal scores the lower index comes first.

    ``seen`` holds one array of catalogue indices a user, ``targets`` int64 ``[users]`` the right items, which
    are never masked. Raises ValueError on a score that is not a number, which would count as a perfect rank.
    """
    users = len(targets)
    masked, unmasked = np.empty(users, dtype=np.int64), np.empty(users, dtype=np.int64)
    lists = np.zeros((users, min(list_length, items)), dtype=np.int32)
    step = max(1, _CHUNK_VALUES // (items + 1))
    for start in range(0, users, step):
        rows = slice(start, min(start + step, users))
        scores = scorer(rows)
        if np.isnan(np.max(scores)):
            raise ValueError(f"users {rows.start} to {rows.stop - 1}: a score is not a number")
        scores[:, 0] = -np.inf
        # Row by row, because a row stays in the processor's cache for all that is counted in it.
        for user, row in zip(range(rows.start, rows.stop), scores, strict=True):
            target, hidden = int(targets[user]), seen[user]
            unmasked[user] = _above(row, target)
            masked[user] = unmasked[user] - _above_among(row, hidden, target)
            if list_length:
                row[hidden] = -np.inf
                _select(row, lists[user])
        tick(rows.stop, users)
    return Ranking(masked, unmasked, lists)


def ranks(user_scores: Scores, seen: Sequence[Indices], targets: Indices) -> Indices:
    """`Ranking.masked` of scores that lie in memory whole, float32 ``[users, items + 1]``; they stay as they are."""
    items = user_scores.shape[1] - 1
    return rank(lambda rows: user_scores[rows].copy(), seen, targets, items=items).masked


def _above(row: Scores, target: int) -> int:
    own = row[target]
    return int(np.count_nonzero(row > own)) + int(np.count_nonzero(row[:target] == own))


def _above_among(row: Scores, indices: Indices, target: int) -> int:
    own, others = row[target], row[indices]
    return int(np.count_nonzero((others > own) | ((others == own) & (indices < target))))


def _select(row: Scores, into: NDArray[np.int32]) -> None:
    """Write the indices of the best scores, best first; what is -inf is left out."""
    k = len(into)
    least = np.partition(row, len(row) - k)[len(row) - k]
    better = np.flatnonzero(row > least)
    best = better[np.argsort(-row[better], kind="stable")]
    into[: len(best)] = best
    if least > -np.inf:
        into[len(best) :] = np.flatnonzero(row == least)[: k - len(best)]
