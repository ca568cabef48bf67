"""Two runs against each other: no false alarms, real shifts found, and an honest "cannot tell"."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from drills.compare import ALPHA, Finding, compare, to_document, trials_needed
from drills.errors import UsageError

Values = Sequence[float | str | None]
UNITS = {"rto_read_s": "s", "rto_write_s": "s", "failed_reads": "requests", "p99_ms": "ms", "availability": "ratio"}


def run(measures: dict[str, Values], *, asked: Sequence[str] | None = None, **given: Any) -> dict[str, Any]:
    """A verdict document whose trials measured these values; a text such as ``">9"`` is a censored value."""
    objective = {"max": 1}
    trials = []
    for number in range(len(next(iter(measures.values())))):
        entries = {name: entry(name, values[number], **given) for name, values in measures.items()}
        trials.append({"trial": number + 1, "variant": None, "valid": True, "measures": entries})
    top = {n: {"unit": UNITS[n], "objective": objective if asked is None or n in asked else None} for n in measures}
    return {"trials": trials, "measures": top}


def entry(name: str, value: float | str | None, resolution: float | None = None) -> dict[str, Any]:
    censored = isinstance(value, str)
    number = float(value[1:]) if isinstance(value, str) else value
    return {"value": number, "censored": censored, "resolution": resolution, "unit": UNITS[name]}


def found(a: Values, b: Values, name: str = "rto_read_s", **given: Any) -> Finding:
    return compare(run({name: a}, **given), run({name: b}, **given)).measures[0].finding


SLOW, FAST = [2.0, 2.1, 2.2, 2.3, 2.4], [1.0, 1.1, 1.2, 1.3, 1.4]


def test_slower_in_every_trial_is_a_regression_and_the_other_way_round_an_improvement() -> None:
    worse, better = (
        compare(run({"rto_read_s": FAST}), run({"rto_read_s": SLOW})),
        compare(run({"rto_read_s": SLOW}), run({"rto_read_s": FAST})),
    )
    assert (worse.finding, worse.exit_code) == (Finding.REGRESSION, 1)
    assert (better.finding, better.exit_code) == (Finding.IMPROVEMENT, 0)
    assert worse.measures[0].change == pytest.approx(1.0 / 1.2, rel=0.01)


def test_less_availability_is_a_regression() -> None:
    assert found([0.99, 0.991, 0.992, 0.993], [0.91, 0.92, 0.93, 0.94], "availability") is Finding.REGRESSION
    assert found([0.91, 0.92, 0.93, 0.94], [0.99, 0.991, 0.992, 0.993], "availability") is Finding.IMPROVEMENT


def test_never_recovered_is_worse_than_any_recovery_however_short_the_trial() -> None:
    assert found([20.0, 21.0, 22.0, 23.0], [">9", ">9", ">9", ">9"]) is Finding.REGRESSION
    assert found([">9", ">9", ">9", ">9"], [20.0, 21.0, 22.0, 23.0]) is Finding.IMPROVEMENT
    assert found([">9"] * 4, [">30"] * 4) is Finding.NO_EVIDENCE


def test_the_same_values_are_no_evidence() -> None:
    same = compare(run({"failed_reads": [0] * 4}), run({"failed_reads": [0] * 4}))
    assert (same.finding, same.exit_code) == (Finding.NO_EVIDENCE, 0)


@pytest.mark.parametrize("trials", [1, 2, 3])
def test_with_too_few_trials_nothing_can_be_told_and_it_says_how_many_are_needed(trials: int) -> None:
    few = compare(run({"rto_read_s": FAST[:trials]}), run({"rto_read_s": SLOW[:trials]}))
    assert (few.finding, few.exit_code) == (Finding.CANNOT_TELL, 3)
    assert few.needed == 4
    assert f"({trials} and {trials}): 4 in each are needed" in few.measures[0].why


def test_more_measures_need_more_trials() -> None:
    assert [trials_needed(k) for k in (1, 2, 5, 8)] == [4, 5, 5, 6]
    names = ["rto_read_s", "rto_write_s", "p99_ms"]
    four = compare(run(dict.fromkeys(names, FAST[:4])), run(dict.fromkeys(names, SLOW[:4])))
    assert four.finding is Finding.CANNOT_TELL
    chosen = compare(run(dict.fromkeys(names, FAST[:4])), run(dict.fromkeys(names, SLOW[:4])), ["p99_ms"])
    assert [m.finding for m in chosen.measures] == [Finding.NOT_TESTED, Finding.NOT_TESTED, Finding.REGRESSION]


def test_only_what_an_objective_asks_for_is_tested() -> None:
    both = [run({"rto_read_s": FAST, "p99_ms": values}, asked=["rto_read_s"]) for values in (FAST, SLOW)]
    assert [m.finding for m in compare(*both).measures] == [Finding.NO_EVIDENCE, Finding.NOT_TESTED]
    with pytest.raises(UsageError, match="neither run has it; measures: rto_read_s, p99_ms"):
        compare(*both, ["rpo_events"])


def test_a_certain_difference_that_is_too_small_to_matter_is_no_regression() -> None:
    assert found([1.0, 1.001, 1.002, 1.003, 1.004], [1.05, 1.051, 1.052, 1.053, 1.054]) is Finding.NO_EVIDENCE
    tenths = ([0.10, 0.11, 0.12, 0.13, 0.14], [0.15, 0.16, 0.17, 0.18, 0.19])
    assert found(*tenths) is Finding.REGRESSION
    assert found(*tenths, resolution=0.1) is Finding.NO_EVIDENCE, "the difference is less than one probe interval"


def test_what_was_not_observed_neither_helps_nor_hides() -> None:
    assert found(FAST, [*SLOW[:4], None]) is Finding.CANNOT_TELL
    assert found(FAST * 2, [*SLOW, *SLOW[:4], None]) is Finding.REGRESSION, "whatever that trial was"
    assert found(FAST, [None] * 5) is Finding.CANNOT_TELL


def test_trials_that_did_not_ask_the_question_are_left_out() -> None:
    broken = run({"rto_read_s": [*FAST, 99.0, 99.0, 99.0, 99.0, 99.0]})
    for trial in broken["trials"][5:]:
        trial["valid"] = False
    assert compare(run({"rto_read_s": FAST}), broken).finding is Finding.NO_EVIDENCE


def test_variants_are_compared_each_with_itself() -> None:
    def mixed(shares: Sequence[str], quick: float, slow: float) -> dict[str, Any]:
        values = [(quick if kind == "split" else slow) + i / 1000 for i, kind in enumerate(shares)]
        document = run({"rto_read_s": values})
        for trial, kind in zip(document["trials"], shares, strict=True):
            trial["variant"] = kind
        return document

    mostly_quick, mostly_slow = ["split"] * 8 + ["isolated"] * 2, ["split"] * 2 + ["isolated"] * 8
    assert compare(mixed(mostly_quick, 0.1, 3.0), mixed(mostly_slow, 0.1, 3.0)).finding is Finding.NO_EVIDENCE
    taking_turns = ["split", "isolated"] * 4
    assert compare(mixed(taking_turns, 0.1, 3.0), mixed(taking_turns, 0.5, 9.0)).finding is Finding.REGRESSION


def test_the_document_is_plain_json_without_infinities() -> None:
    from_zero = compare(run({"rto_read_s": [0.0] * 5}), run({"rto_read_s": FAST}))
    document = to_document(from_zero, ["a", "b"], ["another host"])
    assert document["finding"] == "regression"
    assert document["measures"]["rto_read_s"]["change"] is None
    assert document["measures"]["rto_read_s"]["a"] == {
        "values": (0.0,) * 5,
        "censored": (False,) * 5,
        "median": 0.0,
        "median_censored": False,
    }


def a_run_like_any_other(draw: random.Random, trials: int, factor: float = 1.0) -> dict[str, Any]:
    """Skewed times, some censored at 9 s; counts that are mostly zero; rounded latencies with many ties; a ratio."""

    def recovery() -> float | str:
        value = factor * draw.lognormvariate(0.0, 0.25)
        return ">9" if draw.random() < 0.05 else round(value, 2)

    return run(
        {
            "rto_read_s": [recovery() for _ in range(trials)],
            "failed_reads": [int(draw.paretovariate(1.5)) - 1 for _ in range(trials)],
            "p99_ms": [float(round(factor * draw.lognormvariate(3.0, 0.2))) for _ in range(trials)],
            "availability": [1 - min(0.5, draw.expovariate(50)) for _ in range(trials)],
        },
        resolution=0.02,
    )


def test_it_does_not_cry_wolf() -> None:
    """2,000 pairs of runs of one and the same service: at most the stated share claims any difference."""
    draw, claims, regressions = random.Random(4), 0, 0
    for number in range(2000):
        trials = (6, 8, 10, 12)[number % 4]
        result = compare(a_run_like_any_other(draw, trials), a_run_like_any_other(draw, trials))
        claimed = {m.finding for m in result.measures} & {Finding.REGRESSION, Finding.IMPROVEMENT}
        claims += bool(claimed)
        regressions += Finding.REGRESSION in claimed
        assert result.finding is not Finding.CANNOT_TELL
    assert 0 < claims <= ALPHA * 2000
    assert regressions <= ALPHA * 2000


def test_it_finds_a_shift_of_thirty_percent_with_twenty_trials() -> None:
    draw, noticed = random.Random(5), Counter[str]()
    for _ in range(200):
        result = compare(a_run_like_any_other(draw, 20), a_run_like_any_other(draw, 20, factor=1.3))
        noticed.update(m.name for m in result.measures if m.finding is Finding.REGRESSION)
    assert noticed["p99_ms"] >= 0.85 * 200, "it spreads by 20 % between trials"
    assert noticed["rto_read_s"] >= 0.5 * 200, "it spreads by 25 %, and some trials are censored"
    assert noticed["availability"] <= 0.05 * 200, "it has not changed"
