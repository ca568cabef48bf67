"""Implicit matrix factorisation by alternating least squares (Hu, Koren and Volinsky 2008, doi 10.1109/ICDM.2008.22).

The solver is the library `implicit`: conjugate gradient steps (Takacs et al. 2011) on the sparse
interactions, so the time grows with their number and not with users times items. Well chosen, it is a hard
baseline to beat (Rendle et al. 2021, arXiv 2110.14037).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsvc.baselines.base import Choice, Indices, Scores, counts, matrix, popular_where_empty


class Ials:
    """Fitted: factors of items. A user's are solved for from the history, so any history can be scored."""

    def __init__(self, model: Any, popularity: Scores) -> None:
        self._model, self._popularity = model, popularity

    def scores(self, histories: Sequence[Indices]) -> Scores:
        rows = matrix(histories, len(self._popularity) - 1)
        with _one_blas_thread():
            users = self._model.recalculate_user(np.arange(len(histories)), rows)
        scores = np.asarray(users @ self._model.item_factors.T, dtype=np.float32)
        return popular_where_empty(scores, histories, self._popularity)


@dataclass(frozen=True)
class IalsKind:
    """See `recsvc.baselines.base.Kind`. ``alpha`` is the weight of an interaction, that of any other pair being 1."""

    name: str = "ials"
    title: str = "iALS"
    about: str = "matrix factorisation by alternating least squares (Hu et al. 2008)"
    grid: Sequence[Choice] = tuple(
        {"l2": l2, "alpha": alpha} for l2, alpha in ((1.0, 1.0), (10.0, 1.0), (10.0, 4.0), (30.0, 4.0), (60.0, 16.0))
    )
    searches_on_part: bool = True
    factors: int = 64
    iterations: int = 10
    seed: int = 0

    def refuses(self, items: int) -> str | None:
        return None

    def fit(self, sequences: Sequence[Indices], items: int, choice: Choice) -> Ials:
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - as in matrix()

        with _one_blas_thread():
            model = AlternatingLeastSquares(
                factors=min(self.factors, items), regularization=choice["l2"], alpha=choice["alpha"],
                iterations=self.iterations, random_state=self.seed, num_threads=len(os.sched_getaffinity(0)),
            )  # fmt: skip
            model.fit(matrix(sequences, items), show_progress=False)
        return Ials(model, counts(sequences, items))


def _one_blas_thread() -> Any:
    """The library has threads of its own, which a multithreaded BLAS below each of them would slow many times."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - as in matrix()

    return threadpool_limits(1, "blas")
