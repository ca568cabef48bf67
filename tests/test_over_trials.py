"""Several trials as one figure: worst, median, interval; and runs that are judged on their median trial."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from drills.measures import Measure
from drills.outcome import Judged, Outcome
from drills.over_trials import median, median_interval, spread
from drills.recording.record import Event
from drills.spec import Objective
from drills.verdict import Verdict, judge
from drills.verdict_document import to_json
from tests.measures.literal import usual_events, without
from tests.test_verdict import dark, together, told

FAST = Objective("rto_read_s", max=1.0)


def recoveries(*values: float | None, censored: Sequence[int] = ()) -> list[Measure]:
    return [Measure("rto_read_s", value, "s", censored=i in censored) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("trials", "rank", "confidence"),
    # Coverage of symmetric order-statistic intervals of the median: Conover, table A3 (binomial, p = 1/2).
    [(1, 0, None), (5, 0, None), (6, 1, 0.96875), (8, 1, 0.9921875), (9, 2, 0.9609375), (20, 6, 0.9586105)],
)
def test_the_interval_of_the_median_by_order_statistics(trials: int, rank: int, confidence: float | None) -> None:
    found = median_interval(trials)
    assert found == (rank, confidence if confidence is None else pytest.approx(confidence))


@pytest.mark.parametrize("trials", range(1, 13))
def test_its_confidence_is_that_of_counting_every_pattern_of_above_and_below(trials: int) -> None:
    rank, confidence = median_interval(trials)
    if confidence is None:
        assert 1 - 2 / 2**trials < 0.95
        return
    below = [sum(pattern) for pattern in itertools.product((0, 1), repeat=trials)]
    held = sum(rank <= count <= trials - rank for count in below) / len(below)
    assert held == pytest.approx(confidence)


def test_the_median_of_an_even_number_is_the_worse_of_the_two_in_the_middle() -> None:
    assert spread(recoveries(4.0, 1.0, 2.0, 3.0))["median"] == 3.0
    shares = [Measure("availability", value, "ratio") for value in (0.9, 0.8, 0.7, 0.6)]
    assert spread(shares)["median"] == 0.7
    assert spread(shares)["worst"] == 0.6


def test_values_keep_the_trials_order_and_range_is_over_all() -> None:
    found = spread(recoveries(3.0, 1.0, 2.0))
    assert found["values"] == [3.0, 1.0, 2.0]
    assert (found["range"], found["worst"]) == ([1.0, 3.0], 3.0)
    assert (found["interval"], found["confidence"]) == (None, None)
    assert found["note"] == "The median has no 95% interval: 6 trials are needed, 3 were run."


def test_six_trials_have_an_interval_and_say_how_sure_it_is() -> None:
    found = spread(recoveries(6, 5, 4, 3, 2, 1))
    assert (found["interval"], found["confidence"], found["note"]) == ([1.0, 6.0], 0.96875, None)


def test_a_censored_trial_is_worse_than_every_recovery_and_opens_the_interval() -> None:
    found = spread(recoveries(9.0, 1, 2, 3, 4, 2.5, censored=[5]))
    assert (found["median"], found["median_censored"], found["worst"]) == (4.0, False, 2.5)
    assert found["interval"] == [1.0, math.inf]
    mostly = spread(recoveries(9.0, 2.5, 2.5, censored=[1, 2]))
    assert (mostly["median"], mostly["median_censored"]) == (2.5, True)


def test_a_trial_that_was_not_observed_leaves_the_median_unknown() -> None:
    found = spread(recoveries(1, 2, None, 4, 5, 6, 7))
    assert [found[name] for name in ("median", "worst", "interval", "confidence")] == [None] * 4
    assert found["range"] == [1.0, 7.0]
    assert found["note"] == "1 of 7 trials did not observe it, so its median is not known."
    assert spread(recoveries(None))["range"] is None


P, F, U = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def judged(outcomes: Sequence[Outcome]) -> list[Judged]:
    values = {P: 0.5, F: 2.0, U: None}
    return [Judged(Measure("rto_read_s", values[o], "s"), FAST, o, None if o is P else "why") for o in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "planned", "expected"),
    [
        ([P], 1, P),
        ([F], 1, F),
        ([P, F, P], 3, P),
        ([P, F, F], 3, F),
        ([P, F], 2, F),
        ([P, P, P, F, F], 5, P),
        ([F, F, F, U, U], 5, F),
        ([F, F, P, U, U], 5, U),
        ([P, P, P, P, U], 5, U),
        ([P, F], 5, U),
        ([P, P, F], 5, P),
        ([F, F, F], 5, F),
        ([U], 1, U),
    ],
)
def test_the_median_fails_if_at_least_half_of_the_trials_surely_do(
    outcomes: list[Outcome], planned: int, expected: Outcome
) -> None:
    for order in set(itertools.permutations(outcomes)):
        assert median(judged(order), planned).outcome is expected


def verdict(*seen: Any, judged_on: str = "median", trials: int | None = None) -> Verdict:
    return judge(together(*seen), [FAST], run="r", drill="d", trials=trials or len(seen), judged_on=judged_on)


def test_one_slow_trial_of_three_fails_the_worst_but_not_the_median() -> None:
    assert verdict(dark(0.5), dark(2), dark(0.6), judged_on="worst").outcome is F
    found = verdict(dark(0.5), dark(2), dark(0.6))
    assert found.outcome is P
    assert found.reasons == (
        "All 1 objectives were met by the median of 3 trials.",
        "rto_read_s was violated in trial 2: 1 of 3, fewer than half.",
    )
    assert found.measures["rto_read_s"].measure.value == pytest.approx(0.607)
    document = json.loads(to_json(found))
    assert document["judged_on"] == "median"
    assert document["measures"]["rto_read_s"]["outcome"] == "PASS"
    assert document["measures"]["rto_read_s"]["over_trials"]["worst"] == pytest.approx(2.007)


def test_two_slow_trials_of_three_fail_and_the_reason_counts_them() -> None:
    found = verdict(dark(3), dark(0.5), dark(2))
    assert found.outcome is F
    assert found.reasons[0].startswith("2 of 3 trials, median: The time until reads worked again")
    assert found.measures["rto_read_s"].measure.value == pytest.approx(2.007)


def test_most_trials_never_recovered_stays_never() -> None:
    found = verdict(dark(99), dark(0.5), dark(99))
    assert found.outcome is F
    assert found.measures["rto_read_s"].measure.censored
    assert json.loads(to_json(found))["measures"]["rto_read_s"]["over_trials"]["median_censored"] is True


def ineffective() -> Any:
    noop: list[Event] = [*without(usual_events(), "fault.effect"), told("fault.effect", 11, observed=False)]
    return dark(0.1, events=noop)


def test_a_trial_that_did_not_ask_the_question_leaves_the_run_unknown_however_good_the_median() -> None:
    found = verdict(dark(0.5), dark(0.5), dark(0.5), ineffective())
    assert found.outcome is U
    assert any(reason.startswith("Trial 4: The fault") for reason in found.reasons)
    assert [t.valid for t in found.trials] == [True, True, True, False]


def test_but_a_majority_of_violations_stands_whatever_that_trial_was() -> None:
    assert verdict(dark(2), dark(2), ineffective()).outcome is F
    assert verdict(dark(2), dark(0.5), ineffective()).outcome is U


def test_a_trial_in_doubt_leaves_the_median_unknown_at_best() -> None:
    unhealed = dark(0.5, events=without(usual_events(), "heal.confirmed"))
    assert verdict(dark(0.5), dark(0.5), unhealed).outcome is U
    assert verdict(dark(2), dark(2), unhealed).outcome is F


def test_trials_that_were_not_run_count_as_the_best_there_could_be() -> None:
    assert verdict(dark(2), trials=3).outcome is U
    assert verdict(dark(2), dark(3), trials=3).outcome is F


def test_judging_one_trial_is_the_same_both_ways() -> None:
    for seconds in (0.5, 2, 99):
        assert verdict(dark(seconds)).outcome is verdict(dark(seconds), judged_on="worst").outcome
