"""How the figures depend on how much is known: of a user, and of the item that would be right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.evaluation.figures import Indices, Scores, Values
from recsvc.evaluation.ranking import Scorer

HISTORY_LENGTHS = (0, 1, 5, 10, 20, 50, 100, 200)
"""Where buckets of users begin, by the length of the history before the test item."""
TARGET_COUNTS = (0, 1, 5, 20, 100, 500)
"""Where buckets of test items begin, by training interactions; the first holds those never seen in training."""
KNOWN_ITEMS = (0, 1, 2, 5, 10)
"""How many of each user's newest items are left to go by in the study of withheld histories."""


@dataclass(frozen=True)
class Bucket:
    """``first`` to ``last`` interactions, ``last`` being None where there is no end; ``members`` bool ``[users]``."""

    first: int
    last: int | None
    members: NDArray[np.bool_]

    @property
    def weights(self) -> Values:
        return self.members.astype(np.float32)


def buckets(counts: NDArray[np.int64], starts: Sequence[int]) -> Iterator[Bucket]:
    """Each bucket that is not empty, from few to many."""
    for number, first in enumerate(starts):
        last = starts[number + 1] - 1 if number + 1 < len(starts) else None
        members = (counts >= first) & (counts <= last) if last is not None else counts >= first
        if members.any():
            yield Bucket(first, last, members)


def withheld(histories: Sequence[Indices], known: int) -> list[Indices]:
    """Only the newest ``known`` items of each history."""
    return [history[len(history) - min(known, len(history)) :] for history in histories]


def as_if_new(scorer: Scorer, users: Scores, content: Scores, targets: Indices) -> Scorer:
    """Score each user's right item by its content alone, as if nobody had met it; all others as ever.

    ``users`` float32 ``[users, d]``; ``content`` float32 ``[items + 1, d]``, the part of the item table that
    comes from what an item is.
    """

    def scores(rows: slice) -> Scores:
        found = scorer(rows)
        own = np.einsum("ud,ud->u", users[rows], content[targets[rows]])
        found[np.arange(len(found)), targets[rows]] = own
        return found

    return scores
