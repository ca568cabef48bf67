"""The guard stops a trial that hurts too much or lasts too long, and when it cannot see."""

from __future__ import annotations

from drills.guard import Guard
from drills.spec import AbortIf
from drills.spec import Guard as Rules
from drills.watch import Glance


def glance(availability: float | None) -> Glance:
    return Glance(100.0, 0.0, availability, 5.0, {})


RULES = Rules(max_duration_s=60, abort_if=AbortIf(availability_below=0.5, for_s=3))


def test_a_healthy_trial_goes_on() -> None:
    guard = Guard(RULES, clock_s=0.0)
    assert all(guard.reason_to_stop(glance(0.9), now_s=t) is None for t in range(60))


def test_too_long() -> None:
    reason = Guard(RULES, clock_s=0.0).reason_to_stop(glance(1.0), now_s=60.5)
    assert reason is not None
    assert "max_duration_s (60 s)" in reason


def test_hurting_for_too_long_and_only_without_a_break() -> None:
    guard = Guard(RULES, clock_s=0.0)
    for t, availability in ((1, 0.4), (2, 0.4), (3, 0.6), (4, 0.4), (6, 0.4)):
        assert guard.reason_to_stop(glance(availability), now_s=t) is None
    reason = guard.reason_to_stop(glance(0.4), now_s=7)
    assert reason is not None
    assert "availability was below" in reason


def test_fails_closed_when_blind() -> None:
    guard = Guard(RULES, clock_s=0.0)
    assert guard.reason_to_stop(glance(None), now_s=1) is None
    reason = guard.reason_to_stop(glance(None), now_s=12)
    assert reason is not None
    assert "cannot tell" in reason


def test_without_abort_rule_only_time_counts() -> None:
    guard = Guard(Rules(max_duration_s=60), clock_s=0.0)
    assert guard.reason_to_stop(glance(None), now_s=59) is None
