"""The exact Mann-Whitney test, with ties and strata, and how large a difference is.

H. B. Mann and D. R. Whitney, Ann. Math. Statist. 18 (1947). The tables, and most libraries' exact mode, assume that no
two values are equal; counts of failures are, so the distribution is built from the midranks at hand with the shift
algorithm (B. Streitberg and J. Röhmel, Statistical Software Newsletter 12, 1986): conditional on the ties, and exact.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Value = tuple[int, float]
"""What is ranked: a class (0 observed, 1 censored: beyond all observed) and, within it, a figure."""
Stratum = tuple[Sequence[Value], Sequence[Value]]
"""The values of both sides under one condition; only values of one stratum are compared with each other."""


@dataclass(frozen=True)
class Ranked:
    """How the second side ranks against the first.

    ``p``: two-sided, exact. ``delta``: Cliff's, the share of pairs in which the second is greater less the share in
    which it is smaller (-1 to 1).
    """

    p: float
    delta: float


def mann_whitney(strata: Sequence[Stratum]) -> Ranked:
    """Rank both sides within each stratum and add up: one test over all strata. p is 1 where there are no pairs."""
    distribution: NDArray[np.float64] = np.ones(1)
    observed, wins, pairs = 0, 0, 0
    for a, b in strata:
        pooled = sorted([*a, *b])
        ranks = tuple(_doubled_midrank(pooled, value) for value in pooled)
        distribution = np.convolve(distribution, _doubled_u(ranks, len(b)))
        observed += sum(_doubled_midrank(pooled, value) for value in b) - len(b) * (len(b) + 1)
        wins += sum((y > x) - (y < x) for x in a for y in b)
        pairs += len(a) * len(b)
    if not pairs:
        return Ranked(1.0, 0.0)
    total = distribution.sum()
    tails = distribution[: observed + 1].sum() / total, distribution[observed:].sum() / total
    return Ranked(min(1.0, 2 * float(min(tails))), wins / pairs)


def least_p(sizes: Sequence[tuple[int, int]]) -> float:
    """The smallest two-sided p that strata of these sizes can give at all: with fewer values nothing can be shown."""
    return min(1.0, 2 / math.prod(math.comb(m + n, m) for m, n in sizes))


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values adjusted for there being several (S. Holm, Scand. J. Statist. 6, 1979): reject at most alpha."""
    adjusted, greatest = [1.0] * len(ps), 0.0
    for step, position in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        greatest = max(greatest, min(1.0, (len(ps) - step) * ps[position]))
        adjusted[position] = greatest
    return adjusted


def _doubled_midrank(pooled: Sequence[Value], value: Value) -> int:
    """Twice the mean rank of all that equal ``value``, so that it is whole."""
    return bisect_left(pooled, value) + bisect_right(pooled, value) + 1


@lru_cache(maxsize=512)
def _doubled_u(ranks: tuple[int, ...], chosen: int) -> NDArray[np.float64]:
    """In how many ways ``chosen`` of the doubled midranks give 2U = 0, 1, 2 ... up to 2 x chosen x others.

    The ways are counted over ranks from 0 and without their common divisor: for untied values a quarter of the work.
    """
    found = np.zeros(2 * chosen * (len(ranks) - chosen) + 1)
    least = min(ranks, default=0)
    step = math.gcd(*(rank - least for rank in ranks)) or 1
    plain = [(rank - least) // step for rank in ranks]
    greatest = sum(sorted(plain)[len(plain) - chosen :])
    ways = np.zeros((chosen + 1, greatest + 1))
    ways[0, 0] = 1.0
    for rank in plain:
        ways[1:, rank:] += ways[:-1, : greatest + 1 - rank].copy()
    sums = np.flatnonzero(ways[chosen])
    found[chosen * least - chosen * (chosen + 1) + step * sums] = ways[chosen][sums]
    found.setflags(write=False)
    return found
