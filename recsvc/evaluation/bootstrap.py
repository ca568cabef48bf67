"""How sure a figure is: users are drawn again with replacement, and the figure computed for every draw.

Percentile intervals (Efron 1979). All figures are computed from the same draws, so the difference of two of
them is a paired comparison: what makes a user easy for both models cancels out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recsvc.evaluation.figures import Values

LEVEL = 0.95
FEWEST_USERS = 20
"""Of fewer users there is no interval: the draws repeat so few values that it would be far too narrow."""

_BATCH_VALUES = 4_000_000
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Figure:
    """A ratio of two sums over users; without ``denominators`` it is the mean. Both float32 ``[users]``."""

    numerators: Values
    denominators: Values | None = None


@dataclass(frozen=True)
class Estimate:
    """A figure, what the draws made of it (float64 ``[draws]``, NaN where no user was drawn), and of how many users."""

    value: float
    drawn: NDArray[np.float64]
    users: int

    def interval(self) -> tuple[float, float] | None:
        """The percentile interval at `LEVEL`; None of fewer than `FEWEST_USERS` and where every draw is the same.

        All draws are the same when, for example, no user of a bucket has a hit: an interval of no width would
        claim a certainty that the data do not give.
        """
        drawn = self.drawn[np.isfinite(self.drawn)]
        if self.users < FEWEST_USERS or not len(drawn) or drawn.min() == drawn.max():
            return None
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    def minus(self, other: Estimate) -> Estimate:
        """The paired difference to a figure of the same users and draws."""
        return Estimate(self.value - other.value, self.drawn - other.drawn, min(self.users, other.users))


def resample(figures: Mapping[Key, Figure], *, users: int, draws: int, seed: int) -> dict[Key, Estimate]:
    """Estimate every figure; the same seed, users and draws give the same result."""
    sums = _Sums(users)
    places = {key: (sums.add(each.numerators), sums.add(each.denominators)) for key, each in figures.items()}
    totals, drawn = sums.over_draws(draws, seed)
    estimates = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for key, (above, below) in places.items():
            counted = figures[key].denominators
            members = users if counted is None else int(np.count_nonzero(counted))
            value = float(totals[above] / totals[below]) if members else float("nan")
            estimates[key] = Estimate(value, drawn[:, above] / drawn[:, below], members)
    return estimates


class _Sums:
    """Columns to be summed; the same array is summed once, however many figures use it."""

    def __init__(self, users: int) -> None:
        self._ones = np.ones(users, dtype=np.float32)
        self._columns: list[Values] = []
        self._places: dict[int, int] = {}

    def add(self, column: Values | None) -> int:
        column = self._ones if column is None else column
        if id(column) not in self._places:
            self._places[id(column)] = len(self._columns)
            self._columns.append(column)
        return self._places[id(column)]

    def over_draws(self, draws: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sums over all users ``[columns]`` and over each draw's ``[draws, columns]``."""
        table = np.stack(self._columns, axis=1)
        parts = [weights @ table for weights in _weights(len(table), draws, seed)]
        drawn = np.concatenate(parts) if parts else np.empty((0, table.shape[1]))
        return table.sum(axis=0, dtype=np.float64), drawn.astype(np.float64)


def _weights(users: int, draws: int, seed: int) -> Iterator[Values]:
    """How often each user is drawn, float32 ``[some draws, users]``, until all draws are made."""
    rng = np.random.default_rng(seed)
    step = max(1, _BATCH_VALUES // users)
    for start in range(0, draws, step):
        rows = range(start, min(start + step, draws))
        chosen = [np.bincount(rng.integers(0, users, users), minlength=users) for _ in rows]
        yield np.array(chosen, dtype=np.float32)
