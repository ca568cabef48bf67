"""EASE: an item-to-item linear model in closed form (Steck 2019, arXiv 1905.03375).

With X the users' items as ones and G = X'X, the weights B that minimise |X - XB|^2 + l2 |B|^2 with a zero
diagonal are B = I - P diag(1 / diag P), P = (G + l2 I)^-1 (equations 5 to 8 there). Few models with so little
to set are as good; but P is dense, so memory grows with the square of the catalogue and time with the cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsvc.baselines.base import Choice, Indices, Scores, counts, matrix, popular_where_empty

MOST_ITEMS = 10_000
"""Above this the inverse takes more than 0.4 GB and, on one core, more than a minute a choice."""

_BLOCK = 256


class Ease:
    """Fitted: the weights, float32 ``[items + 1, items + 1]``."""

    def __init__(self, weights: Scores, popularity: Scores) -> None:
        self.weights, self._popularity = weights, popularity

    def scores(self, histories: Sequence[Indices]) -> Scores:
        scores = np.asarray(matrix(histories, len(self.weights) - 1) @ self.weights, dtype=np.float32)
        return popular_where_empty(scores, histories, self._popularity)


@dataclass(frozen=True)
class EaseKind:
    """See `recsvc.baselines.base.Kind`. ``l2`` is the paper's lambda."""

    name: str = "ease"
    title: str = "EASE"
    about: str = "item-to-item weights in closed form (Steck 2019)"
    grid: Sequence[Choice] = tuple({"l2": l2} for l2 in (100.0, 300.0, 1000.0, 3000.0))
    most_items: int = MOST_ITEMS
    searches_on_part: bool = False

    def refuses(self, items: int) -> str | None:
        if items <= self.most_items:
            return None
        return f"EASE needs a dense {items:,} x {items:,} matrix; it is fitted to at most {self.most_items:,} items"

    def fit(self, sequences: Sequence[Indices], items: int, choice: Choice) -> Ease:
        gram = _gram(matrix(sequences, items))
        gram[np.diag_indices_from(gram)] += np.float32(choice["l2"])
        return Ease(_weights(_inverse(gram)), counts(sequences, items))


def _gram(interactions: Any) -> Scores:
    """X'X of a CSR matrix, dense. Made block by block: it is nearly full, and sparse it would take twice the room."""
    by_item = interactions.T.tocsr()
    gram = np.empty((by_item.shape[0],) * 2, dtype=np.float32)
    for start in range(0, len(gram), _BLOCK):
        gram[start : start + _BLOCK] = (by_item[start : start + _BLOCK] @ interactions).toarray()
    return gram


def _inverse(gram: Scores) -> Any:
    """Invert a symmetric positive definite matrix in its own memory; returns its lower triangle."""
    from scipy.linalg import lapack  # noqa: PLC0415 - as in matrix()

    # Fortran's order, so that LAPACK works in place: the transpose of a symmetric matrix is itself.
    factor, failed = lapack.spotrf(gram.T, lower=True, overwrite_a=True)
    if not failed:
        inverse, failed = lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed:
        raise ValueError(f"the item matrix cannot be inverted (LAPACK says {failed}): choose a larger l2")
    return inverse


def _weights(inverse: Any) -> Scores:
    """The weights from the inverse's lower triangle, in its own memory: a second such matrix might not fit."""
    for column in range(1, len(inverse)):
        inverse[:column, column] = inverse[column, :column]
    # Symmetric by now, so the transpose is the same matrix in C's order, which sparse products need.
    weights: Scores = inverse.T
    weights /= -inverse.diagonal().copy()
    np.fill_diagonal(weights, 0)
    return weights
