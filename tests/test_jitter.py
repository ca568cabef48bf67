"""The fault's moment: seeded, and spread over the target's own rhythms."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.jitter import jitter_s, period_s


def moments(seed: int, trials: int, variants: int = 1, period: float = 1.0) -> list[float]:
    return [jitter_s(seed, number, trials, variants, period) for number in range(1, trials + 1)]


@given(st.integers(0, 2**31), st.integers(1, 100), st.floats(0.01, 60))
def test_each_trial_has_a_slice_of_the_period_of_its_own(seed: int, trials: int, period: float) -> None:
    slices = sorted(int(moment / period * trials) for moment in moments(seed, trials, period=period))
    assert slices == list(range(trials))


@given(st.integers(0, 2**31))
def test_the_trials_of_each_variant_are_spread_among_themselves(seed: int) -> None:
    of_all = moments(seed, 9, variants=2)
    for own in (of_all[0::2], of_all[1::2]):
        assert sorted(int(moment * len(own)) for moment in own) == list(range(len(own)))


def test_the_same_seed_gives_the_same_moments_and_another_seed_others() -> None:
    assert moments(7, 20) == moments(7, 20)
    assert moments(7, 20) != moments(8, 20)
    assert moments(7, 20) != sorted(moments(7, 20)), "a drift of the machine must not look like an effect of the phase"


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, 1.0),
        ({"timers": {"fall_s": 0.2}}, 1.0),
        ({"timers": {"period_s": 2.5}}, 2.5),
        ({"timers": {"period_s": 0}}, 1.0),
        ({"timers": None}, 1.0),
    ],
)
def test_the_period_is_the_targets_own_where_it_tells(about: Mapping[str, object], expected: float) -> None:
    assert period_s(about) == expected
