"""Intervals against scipy's bootstrap, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recsvc.evaluation.bootstrap import Figure, resample

USERS = 400
RNG = np.random.default_rng(11)
VALUES = RNG.gamma(1.0, size=USERS).astype(np.float32)
CLOSE = (VALUES * 0.9 + RNG.normal(0, 0.05, USERS)).astype(np.float32)
BUCKET = (np.arange(USERS) % 3 == 0).astype(np.float32)


def test_an_interval_is_that_of_scipy() -> None:
    found = resample({"mean": Figure(VALUES)}, users=USERS, draws=4000, seed=1)["mean"]
    expected = stats.bootstrap((VALUES,), np.mean, n_resamples=4000, method="percentile", rng=2).confidence_interval
    width = expected.high - expected.low
    assert found.value == pytest.approx(VALUES.mean(), rel=1e-6)
    # Two sets of 4000 draws: their quantiles scatter by some hundredths of the width.
    assert found.interval() == pytest.approx((expected.low, expected.high), abs=float(0.08 * width))


def test_a_difference_is_paired() -> None:
    both = resample({"a": Figure(VALUES), "b": Figure(CLOSE)}, users=USERS, draws=2000, seed=1)
    interval = both["a"].minus(both["b"]).interval()
    expected = stats.bootstrap((VALUES - CLOSE,), np.mean, n_resamples=2000, method="percentile", rng=2)
    low, high = expected.confidence_interval
    assert interval == pytest.approx((low, high), abs=float(0.12 * (high - low)))
    # Unpaired it would be as wide as the figures' own intervals and hold 0; the pairs tell the two apart.
    assert interval is not None
    assert interval[0] > 0
    own = both["a"].interval()
    assert own is not None
    assert interval[1] - interval[0] < 0.2 * (own[1] - own[0])


def test_a_bucket_is_a_ratio_over_its_users() -> None:
    found = resample({"bucket": Figure(VALUES * BUCKET, BUCKET)}, users=USERS, draws=2000, seed=1)["bucket"]
    members = VALUES[BUCKET == 1]
    expected = stats.bootstrap((members,), np.mean, n_resamples=2000, method="percentile", rng=2).confidence_interval
    assert found.value == pytest.approx(members.mean(), rel=1e-6)
    assert found.users == len(members)
    assert found.interval() == pytest.approx(tuple(expected), abs=float(0.12 * (expected.high - expected.low)))


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    first, again, other = (
        resample({"x": Figure(VALUES)}, users=USERS, draws=200, seed=seed)["x"].interval() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("numerators", "users"),
    [(np.zeros(100, np.float32), 100), (np.arange(19, dtype=np.float32), 19)],
    ids=["no hit at all", "too few users"],
)
def test_no_interval_where_it_would_claim_too_much(numerators: np.ndarray, users: int) -> None:
    assert resample({"x": Figure(numerators)}, users=users, draws=50, seed=0)["x"].interval() is None


def test_a_bucket_that_some_draws_miss_counts_the_draws_that_hit_it() -> None:
    bucket = np.zeros(USERS, np.float32)
    bucket[:21] = 1
    found = resample({"x": Figure(VALUES * bucket, bucket), "none": Figure(VALUES, 0 * bucket)},
                     users=USERS, draws=50, seed=0)  # fmt: skip
    assert found["x"].interval() is not None
    assert np.isnan(found["none"].value)
    assert found["none"].interval() is None
