"""What every baseline is: fitted on sequences of catalogue indices, it scores the catalogue for any history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Scores = NDArray[np.float32]
Choice = Mapping[str, float]
"""Values of what is chosen on validation, by name."""


class Baseline(Protocol):
    """A fitted baseline."""

    def scores(self, histories: Sequence[Indices]) -> Scores:
        """Score for users of these histories: float32 ``[len(histories), items + 1]``, column 0 meaning nothing.

        A user without a history gets the most popular items, as in a service that has nothing else to go by.
        """


class Kind(Protocol):
    """A way to make a baseline: ``title`` heads a column, ``about`` explains it in a sentence.

    ``grid`` holds what to choose from, and is empty where there is nothing to choose.
    ``searches_on_part``: fitting takes so long that on large data choices are tried on a part of the users.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def grid(self) -> Sequence[Choice]: ...

    @property
    def searches_on_part(self) -> bool: ...

    def refuses(self, items: int) -> str | None:
        """Why it cannot be fitted to so large a catalogue, for people; None when it can."""

    def fit(self, sequences: Sequence[Indices], items: int, choice: Choice) -> Baseline:
        """Fit to users' items, none twice in a sequence, of a catalogue of ``items``; the same again gives the same."""


def counts(sequences: Sequence[Indices], items: int) -> Scores:
    """How often each item occurs: float32 ``[items + 1]``."""
    total = np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *sequences]), minlength=items + 1)
    return total.astype(np.float32)


def matrix(sequences: Sequence[Indices], items: int) -> Any:
    """Interactions as ones: a scipy CSR matrix float32 ``[users, items + 1]``."""
    from scipy import sparse  # noqa: PLC0415 - 0.3 s, and training reads this package's neighbours without it

    ends = np.cumsum([0, *map(len, sequences)])
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *sequences]).astype(np.int32)
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), (len(sequences), items + 1))


def popular_where_empty(scores: Scores, histories: Sequence[Indices], popularity: Scores) -> Scores:
    """Overwrite the rows of users without a history with ``popularity`` ``[items + 1]``; returns ``scores``."""
    empty = [row for row, history in enumerate(histories) if not len(history)]
    scores[empty] = popularity
    return scores
