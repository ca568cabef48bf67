"""How long users were hurt, which step took the time, and what a shorter timer predicts: on literal runs."""

from __future__ import annotations

from typing import Any

import pytest

from reports.findings import Finding, Severity, outages
from reports.findings.stretches import Stretch
from tests.reports.literal import DEPLOYED, TIMERS, event, facts, fault, measure, outage, requests, trial

PARTS = {
    "sentinel_ping_s": 0.2, "witness_down_after_s": 0.4, "sentinel_tick_s": 0.5, "node_poll_s": 0.1,
    "check_downinter_s": 0.05, "check_timeout_s": 0.1, "probe_interval_s": 0.02, "answer_s": 0.03,
}  # fmt: skip
MODELLED = {"sustained_write": {"bound_s": 1.4, "parts": PARTS, "dominating": "sentinel_tick_s"}}
QUIET = {"p99_ms@before": measure(30.0, "ms")}
PROBED = event(-8, "prober.started", rates={"probe_read": 50.0, "probe_write": 50.0, "quality": 20.0})
TAKEN_IN = event(0.9, "edge.server", backend="writes", up=True, node="standby/node-1")
FAILED_OVER = {"promoted": 0.8, "sustained_write": 1.0, "first_error": 0.0}


def failed_over(seconds: float = 1.0, most: float | None = 3.0, **changes: Any) -> Finding | None:
    """Writes that failed until another store had been promoted; ``changes`` are those of the trial."""
    settings: dict[str, Any] = {
        "events": [PROBED, *fault(), TAKEN_IN],
        "milestones": FAILED_OVER | {"sustained_write": seconds},
        "modelled": MODELLED,
        "asked": requests((0.0, seconds)),
    }
    measures = QUIET | {"rto_write_s": outage(seconds, most)}
    return outages.writes(facts(trial(measures, **(settings | changes))))


def told(found: Finding | None) -> str:
    assert found is not None
    return f"{found.title} | {found.text} | {found.action}"


def test_the_time_is_told_step_by_step_and_the_longest_is_named() -> None:
    found = told(failed_over())
    assert found.startswith("Writes failed for 1.00 s after the fault, 0.80 s of it until a store was promoted | ")
    assert (
        "It took 0.80 s until a store was promoted, 0.10 s until the edge sent writes there and 0.10 s until" in found
    )


def test_the_timer_that_passes_in_whole_is_told_as_part_of_the_measured_time() -> None:
    assert "0.40 s of the 1.00 s was the witness's down-after timer" in told(failed_over())


def test_a_promotion_sooner_than_the_timer_is_not_put_down_to_it() -> None:
    early = failed_over(milestones=FAILED_OVER | {"promoted": 0.3})
    assert "was the witness's down-after" not in told(early)


def test_what_if_is_the_same_model_with_the_timer_changed() -> None:
    """1.40 s less the 0.2 s by which down-after is shorter."""
    assert (
        "With the witness's down-after at 0.2 s instead of 0.4 s the configuration predicts at most 1.20 s instead of "
        "at most 1.40 s" in told(failed_over())
    )


def test_what_if_is_an_action_only_where_the_bound_was_missed_or_is_near() -> None:
    ample, thin, missed = (failed_over(most=most) for most in (3.0, 1.1, 0.9))
    assert ample is not None and thin is not None and missed is not None
    assert (ample.severity, thin.severity, missed.severity) == (Severity.KNOW, Severity.CLOSE, Severity.MISSED)
    assert not ample.action
    assert "at most 1.20 s" in thin.action
    assert "at most 1.20 s" in missed.action


def test_a_timer_is_never_lowered_below_what_the_model_holds_for() -> None:
    """Sentinels ping every 0.3 s here: what half of down-after would do is not in the model."""
    slow_ping = {**DEPLOYED, "timers": TIMERS | {"sentinel_ping_s": 0.3}}
    longer = {"sustained_write": {"bound_s": 1.5, "parts": PARTS | {"sentinel_ping_s": 0.3}, "dominating": "x"}}
    run = trial(
        QUIET | {"rto_write_s": outage(1.0, 0.9)},
        events=[PROBED, *fault(), TAKEN_IN],
        milestones=FAILED_OVER,
        modelled=longer,
        asked=requests((0.0, 1.0)),
    )
    assert "down-after at" not in told(outages.writes(facts(run, deployed=slow_ping)))


@pytest.mark.parametrize(
    "changes",
    [
        {"modelled": {}},
        {"modelled": {"sustained_write": {"bound_s": 1.3, "parts": PARTS, "dominating": "sentinel_tick_s"}}},
        {"milestones": FAILED_OVER | {"sustained_write": None}},
    ],
    ids=["nothing is predicted", "another model's bound", "the recovery was not observed"],
)
def test_nothing_is_predicted_where_the_record_does_not_carry_it(changes: dict[str, Any]) -> None:
    assert "predicts at most" not in told(failed_over(**changes))


def test_a_service_without_timers_gets_steps_but_no_prediction() -> None:
    run = trial({"rto_write_s": outage(1.0)}, milestones=FAILED_OVER, asked=requests((0.0, 1.0)), modelled=MODELLED)
    found = told(outages.writes(facts(run, deployed={})))
    assert "0.80 s until a store was promoted" in found
    assert "predicts" not in found


def test_slower_than_the_bound_is_not_explained_by_timers() -> None:
    found = told(failed_over(1.6))
    assert "its timers do not explain the rest" in found
    assert "predicts at most" not in found


def test_several_faults_are_told_without_attributing_steps() -> None:
    several = [PROBED, *fault(), *fault(0.5, fault="node_kill", arguments={"node": "primary/node-1"}), TAKEN_IN]
    found = told(failed_over(events=several))
    assert found.startswith("It took 1.00 s until writes worked again")
    assert "promoted" not in found
    assert "predicts" not in found


def test_a_recovery_that_healing_disturbed_again_is_not_told_as_one_outage() -> None:
    found = told(failed_over(17.0, asked=requests((0.0, 0.9), (16.2, 17.0))))
    assert found.startswith("Writes recovered, and were disturbed again after healing had begun")
    assert "from 0.0 to 0.9 s and from 16.2 to 17.0 s" in found
    assert "Healing began 15.9 s after the fault" in found


def test_a_disturbance_that_only_healing_brought_is_not_the_faults() -> None:
    found = told(failed_over(17.0, asked=requests((16.2, 17.0))))
    assert found.startswith("Writes were disturbed only around healing, from 16.2 to 17.0 s after the fault")


def test_writes_that_nobody_took_over_end_with_the_fault() -> None:
    found = told(failed_over(16.4, asked=requests((0.0, 16.4)), milestones={"sustained_write": 16.4}, modelled={}))
    assert found.startswith("Writes failed until the fault was healed: 16.40 s")
    assert "No store was promoted while the fault was in force" in found


def test_slow_answers_are_not_called_failures() -> None:
    run = trial(
        {"rto_read_s": outage(0.5, 1.0, failed=0, slow=20)}, asked=requests((0.0, 0.5), write=False, slow_s=0.6)
    )
    assert told(outages.reads(facts(run))).startswith("Reads were partly slow for 0.50 s after the fault")


def test_a_recovery_that_never_came_is_a_lower_bound() -> None:
    never = outage(30.0, 3.0, censored=True, outcome="FAIL")
    found = outages.writes(facts(trial({"rto_write_s": never}, asked=requests((0.0, 30.0)))))
    assert found is not None
    assert found.title.startswith("Writes had not recovered for good when the trial ended, 30.0 s after the fault")
    assert found.severity is Severity.MISSED


@pytest.mark.parametrize(
    "measures",
    [
        {},
        {"rto_write_s": outage(0.0)},
        {"rto_write_s": measure(None, objective={"max": 3}, outcome="UNKNOWN", reason="The prober was held up.")},
        {"rto_write_s": measure(9.0, possible=[0.3, 9.0], objective={"max": 3}, outcome="UNKNOWN")},
        {"rto_write_s": measure(1.0, evidence={})},
    ],
    ids=["absent", "no outage", "unknown", "a range", "no beginning"],
)
def test_it_is_silent_where_no_outage_was_observed(measures: dict[str, Any]) -> None:
    assert outages.writes(facts(trial(measures, outcome="PASS"))) is None


def test_the_trial_that_was_judged_is_the_one_that_is_told() -> None:
    first = trial({"rto_write_s": outage(0.5)}, asked=requests((0.0, 0.5)))
    second = trial({"rto_write_s": outage(2.0)}, number=2, asked=requests((0.0, 2.0)))
    found = told(outages.writes(facts(first, second, over={"rto_write_s": outage(2.0)})))
    assert found.startswith("Writes failed for 2.00 s after the fault (trial 2)")


@pytest.mark.parametrize(
    ("start_s", "end_s", "said"),
    [
        (-0.08, 0.03, "at 0.0 s"),
        (-0.01, 0.34, "from 0.0 to 0.3 s"),
        (7.31, 8.79, "from 7.3 to 8.8 s"),
        (2.0, 2.02, "at 2.0 s"),
    ],
)
def test_a_stretch_does_not_run_from_a_moment_to_the_same(start_s: float, end_s: float, said: str) -> None:
    assert Stretch(start_s, end_s, failed=0, slow=3).said == said
