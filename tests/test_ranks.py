"""The exact rank test, against counting every arrangement and against printed tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.ranks import Value, holm, least_p, mann_whitney

FEW = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3).map(float)), min_size=1, max_size=5)


def seen(*values: float) -> list[Value]:
    return [(0, float(value)) for value in values]


def wins(a: Sequence[Value], b: Sequence[Value]) -> float:
    return sum((y > x) + (y == x) / 2 for x in a for y in b)


def counted_p(a: Sequence[Value], b: Sequence[Value]) -> float:
    """Two-sided p by trying every way to deal the pooled values to the two sides."""
    pooled = [*a, *b]
    dealt = []
    for chosen in itertools.combinations(range(len(pooled)), len(b)):
        rest = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        dealt.append(wins(rest, [pooled[i] for i in chosen]))
    at = wins(a, b)
    tails = sum(w <= at for w in dealt), sum(w >= at for w in dealt)
    return min(1.0, 2 * min(tails) / len(dealt))


@settings(deadline=None)
@given(FEW, FEW)
def test_p_is_what_counting_every_arrangement_gives_with_ties_too(a: list[Value], b: list[Value]) -> None:
    found = mann_whitney([(a, b)])
    assert found.p == pytest.approx(counted_p(a, b))
    assert found.delta == pytest.approx(2 * wins(a, b) / (len(a) * len(b)) - 1)


@given(FEW, FEW)
def test_changing_sides_changes_the_direction_only(a: list[Value], b: list[Value]) -> None:
    there, back = mann_whitney([(a, b)]), mann_whitney([(b, a)])
    assert (there.p, there.delta) == (pytest.approx(back.p), pytest.approx(-back.delta))


@pytest.mark.parametrize(
    ("size", "critical_u", "p"),
    # Mann and Whitney's table: the greatest U with a two-sided p of at most 0.05.
    [(4, 0, 0.0286), (5, 2, 0.0317), (6, 5, 0.0411), (8, 13, 0.0499), (10, 23, 0.0433), (20, 127, 0.0491)],
)
def test_the_printed_critical_values(size: int, critical_u: int, p: float) -> None:
    a = list(range(0, 2 * size, 2))
    assert mann_whitney([with_u(size, critical_u)]).p == pytest.approx(p, abs=0.00005)
    assert mann_whitney([with_u(size, critical_u + 1)]).p > 0.05
    assert len(a) == size


def with_u(size: int, u: int) -> tuple[list[Value], list[Value]]:
    """Two untied samples with ``u`` pairs in which the second is smaller."""
    b = [float(size)] * size
    for position in range(size):
        smaller = min(size, u)
        b[position], u = float(size - smaller), u - smaller
    return seen(*range(size)), [(0, value - 0.5 + i / 1000) for i, value in enumerate(sorted(b))]


def test_strata_are_never_compared_with_each_other() -> None:
    low, high = seen(1, 2, 3, 4), seen(101, 102, 103, 104)
    apart = mann_whitney([(low, low), (high, high)])
    assert (apart.p, apart.delta) == (1.0, 0.0)
    both = mann_whitney([(low, seen(5, 6, 7, 8)), (high, seen(105, 106, 107, 108))])
    assert both.p == pytest.approx(2 / math.comb(8, 4) ** 2)
    assert both.delta == 1.0


def test_what_is_censored_ranks_above_everything_observed() -> None:
    assert mann_whitney([(seen(90, 91, 92, 93), [(1, 0.0)] * 4)]).delta == 1.0


def test_too_few_values_cannot_show_anything() -> None:
    assert least_p([(3, 3)]) == pytest.approx(0.1)
    assert least_p([(4, 4)]) == pytest.approx(2 / 70)
    assert least_p([(1, 1)]) == 1.0
    assert least_p([]) == 1.0
    assert mann_whitney([([], [])]).p == 1.0


def test_holm_adjusts_step_by_step_and_never_out_of_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_hundred_trials_each_are_still_exact() -> None:
    found = mann_whitney([(seen(*range(100)), seen(*(n + 0.5 for n in range(100))))])
    assert 0.85 < found.p <= 1.0
