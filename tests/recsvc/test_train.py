"""Training learns the order that the synthetic set is known to have, in the time it is given."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from recsvc import evaluation, train
from recsvc.recipe import Plan, Settings
from recsvc.validation import encode
from tests.recsvc.small_data import Small


def quiet(*_: object) -> None:
    """Nobody watches."""


def test_it_beats_popularity_on_order_and_ranks_cold_users_by_popularity(small: Small, quick: Settings) -> None:
    seen: list[tuple[str, int, int]] = []
    fitted = train.fit(
        small.dataset,
        small.split,
        quick,
        progress=lambda stage, done, total, _: seen.append((stage, done, total)),
    )
    table = fitted.release.table
    users = encode(fitted.release.model, small.split.before_test)
    ranks = evaluation.ranks(users @ table.T, small.split.before_test, small.split.test)
    counts = evaluation.popularity(small.split.before_test, len(small.dataset.items))
    popular = evaluation.ranks(np.tile(counts, (len(users), 1)), small.split.before_test, small.split.test)
    assert evaluation.hit_ratio(ranks, 10) > 2 * evaluation.hit_ratio(popular, 10)
    assert not fitted.out_of_time
    assert seen[0] == ("train", 1, 8)
    assert seen[-1] == ("refit", 1, 1)
    cold = (fitted.release.model.cold_user.numpy() @ table.T)[1:]
    assert np.corrcoef(cold, np.log(counts[1:] + 0.5))[0, 1] > 0.5


def test_the_same_seed_gives_the_same_model(small: Small, quick: Settings) -> None:
    short = dataclasses.replace(quick, plan=Plan(epochs=1, epoch_steps=1, refit_epochs=1))
    one, two = (train.fit(small.dataset, small.split, short, progress=quiet).release for _ in range(2))
    assert np.array_equal(one.table, two.table)


def test_the_time_is_kept_and_running_out_of_it_is_said(small: Small, quick: Settings) -> None:
    endless = dataclasses.replace(
        quick, plan=Plan(epochs=10_000, epoch_steps=1, refit_epochs=10, budget_s=1.5, patience=10_000)
    )
    begun = time.monotonic()
    fitted = train.fit(small.dataset, small.split, endless, progress=quiet)
    assert time.monotonic() - begun < 10
    assert fitted.out_of_time
    assert np.isfinite(fitted.release.table).all()


def test_the_search_stops_when_validation_stops_improving(small: Small, quick: Settings) -> None:
    hopeless = dataclasses.replace(
        quick, plan=Plan(epochs=50, epoch_steps=1, refit_epochs=0, patience=2, learning_rate=0.0)
    )
    fitted = train.fit(small.dataset, small.split, hopeless, progress=quiet)
    assert (fitted.epochs, fitted.best_epoch) == (3, 1)


def test_a_catalogue_too_large_for_every_item_at_a_time_is_learnt_against_samples(
    small: Small, quick: Settings
) -> None:
    plan = dataclasses.replace(quick.plan, full_softmax_items=10, sampled_items=40, epochs=12)
    sampled = dataclasses.replace(quick, plan=plan, shape=dataclasses.replace(quick.shape, factors=0))
    fitted = train.fit(small.dataset, small.split, sampled, progress=quiet)
    ranks = evaluation.ranks(
        encode(fitted.release.model, small.split.before_test) @ fitted.release.table.T,
        small.split.before_test,
        small.split.test,
    )
    counts = evaluation.popularity(small.split.before_test, len(small.dataset.items))
    popular = evaluation.ranks(np.tile(counts, (len(ranks), 1)), small.split.before_test, small.split.test)
    assert evaluation.hit_ratio(ranks, 10) > 2 * evaluation.hit_ratio(popular, 10)
