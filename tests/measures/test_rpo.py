"""What was lost, duplicated or recovered, on literal logs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.measures import Measure, Settings
from drills.measures.rpo import duplicated_events, rpo_events, rpo_s
from drills.record import ReadBack
from drills.spec import Objective
from drills.timeline import Timeline
from drills.verdict import Outcome, judge_measure
from tests.measures.literal import (
    INJECTED_S,
    event,
    failed,
    log_of,
    reads,
    request,
    timeline,
    usual_events,
    without,
    writes,
)


def lose(whole: Timeline, region: str, *ids: str) -> Timeline:
    kept = [row for row in whole.readback if row.region != region or row.id not in ids]
    return Timeline(events=whole.events, requests=whole.requests, readback=kept)


def judged(measure: Measure, limit: float = 0) -> Outcome | None:
    return judge_measure(measure, Objective(measure.name, max=limit)).outcome


def test_nothing_lost() -> None:
    whole = timeline(writes())
    measure = rpo_events(whole, Settings())
    assert (measure.value, measure.possible) == (0, None)
    assert measure.evidence["acknowledged"] == 1500
    assert rpo_s(whole, Settings()).value == 0
    assert duplicated_events(whole, Settings()).value == 0


def test_lost_in_one_region_is_lost() -> None:
    partly = lose(timeline(writes()), "standby", "run-1-400", "run-1-450")
    measure = rpo_events(partly, Settings())
    assert measure.value == 2
    assert measure.evidence["lost_by_region"] == {"primary": 0, "standby": 2}
    assert measure.evidence["lost_everywhere"] == 0
    assert measure.evidence["lost_ids"] == {"primary": [], "standby": ["run-1-400", "run-1-450"]}


def test_the_age_of_the_oldest_lost_event() -> None:
    partly = lose(timeline(writes()), "primary", "run-1-400", "run-1-450")
    assert rpo_s(partly, Settings()).value == pytest.approx(INJECTED_S - (0.017 + 8 + 0.005))


def test_lost_after_the_fault_is_not_nothing() -> None:
    measure = rpo_s(lose(timeline(writes()), "primary", "run-1-550"), Settings())
    assert measure.value == pytest.approx(1.022)
    assert (measure.evidence["lost_before_fault"], measure.evidence["lost_after_fault"]) == (0, 1)


def test_an_acknowledged_retry_counts_from_its_first_acknowledgement() -> None:
    again = [*writes(), request(12, stream="load", op="event", id="run-1-400")]
    assert rpo_s(lose(timeline(again), "primary", "run-1-400"), Settings()).value == pytest.approx(1.978)


def test_unacknowledged_but_present_is_recovered_and_not_lost() -> None:
    rows = writes(lambda s: 10 <= s < 11)
    logs = [
        *log_of("primary", "standby", requests=rows),
        ReadBack(trial=1, region="primary", id="run-1-510", count=1),
    ]
    measure = rpo_events(timeline(rows, readback=logs), Settings())
    assert (measure.value, measure.evidence["recovered"], measure.evidence["unexpected"]) == (0, 1, 0)


def test_an_event_of_ours_that_nobody_sent_is_unexpected() -> None:
    rows = writes()
    logs = [
        *log_of("primary", "standby", requests=rows),
        ReadBack(trial=1, region="primary", id="run-1-9999", count=1),
        ReadBack(trial=1, region="primary", id="somebody-else-1", count=1),
    ]
    measure = rpo_events(timeline(rows, readback=logs), Settings())
    assert (measure.value, measure.evidence["unexpected_ids"]) == (0, ["run-1-9999"])


def test_duplicates_are_counted_once_an_event() -> None:
    rows = writes()
    logs = log_of("primary", "standby", requests=rows)
    for row in logs:
        if row.id == "run-1-7":
            row.count = 3
    assert duplicated_events(timeline(rows, readback=logs), Settings()).value == 1


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (without(usual_events(), "readback.done"), "The event log of primary is not known"),
        (
            [*usual_events(), event("readback.failed", 32, region="standby", why="connection refused")],
            "The event log of standby is not known: reading it back failed (connection refused).",
        ),
        (
            [*usual_events(), event("readback.done", 32, region="standby", found=1501)],
            "1501 events were read back but 1500 are recorded.",
        ),
    ],
)
def test_a_log_that_was_not_read_leaves_it_unknown(events: list, reason: str) -> None:  # type: ignore[type-arg]
    whole = timeline(writes(), events=events)
    for measure in (
        rpo_events(whole, Settings()),
        rpo_s(whole, Settings()),
        duplicated_events(whole, Settings()),
    ):
        assert measure.value is None
        assert measure.possible == (0, math.inf)
        assert measure.reason is not None and reason in measure.reason
        assert judged(measure) is Outcome.UNKNOWN


def test_what_is_known_lost_fails_though_another_log_was_not_read() -> None:
    events = [e for e in usual_events() if e.data.get("region") != "standby"]
    measure = rpo_events(lose(timeline(writes(), events=events), "primary", "run-1-3"), Settings())
    assert measure.value is None
    assert judged(measure, limit=0) is Outcome.FAIL
    assert judged(measure, limit=1) is Outcome.UNKNOWN


def test_without_an_acknowledged_write_nothing_is_known() -> None:
    assert rpo_events(timeline(reads()), Settings()).value is None
    assert rpo_events(timeline([failed(1, stream="probe_write", op="event", id="a-1")]), Settings()).value is None


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 1499), max_size=5), st.sets(st.integers(0, 1499), max_size=40))
def test_dropping_write_records_never_passes_a_loss(lost: set[int], dropped: set[int]) -> None:
    rows = writes()
    whole = lose(timeline(rows), "primary", *(f"run-1-{n}" for n in lost))
    partial = Timeline(
        events=whole.events,
        requests=[r for n, r in enumerate(rows) if n not in dropped],
        readback=whole.readback,
    )
    full = judged(rpo_events(whole, Settings()))
    assert full is (Outcome.FAIL if lost else Outcome.PASS)
    assert not (full is Outcome.FAIL and judged(rpo_events(partial, Settings())) is Outcome.PASS)
