"""What was lost, duplicated or recovered, on literal logs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.measures import Measure, Settings, measure_trial
from drills.measures.rpo import duplicated_events, rpo_events, rpo_s, stale_events
from drills.objectives import judge_measure
from drills.outcome import Outcome
from drills.recording.record import ReadBack
from drills.recording.timeline import Timeline
from drills.spec import Objective
from tests.measures.literal import (
    INJECTED_S,
    event,
    failed,
    log_of,
    ns,
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


def test_a_look_up_by_id_counts_neither_copies_nor_strangers() -> None:
    whole, by_id = timeline(writes()), Settings(logs_listed=False, shows_repeats=False)
    assert duplicated_events(whole, by_id).value is None
    assert "duplicated_events" not in measure_trial(whole, by_id)
    assert duplicated_events(whole, Settings(logs_listed=False)).value == 0
    lost = rpo_events(whole, by_id)
    assert (lost.value, lost.evidence["unexpected"]) == (0, None)


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


def stale(seen: dict[str, float], first_read_s: float | None = 31.5, **given: Any) -> Measure:
    """Both logs hold everything; ``seen``: in the standby's, these ids were first seen at these seconds."""
    rows = writes()
    logs = log_of("primary", "standby", requests=rows)
    for row in logs:
        row.t_seen = ns(seen.get(row.id, 31.2) if row.region == "standby" else 31.2)
    events = without(usual_events(), "readback.done")
    more = {} if first_read_s is None else {"first_read": ns(first_read_s)}
    events += [event("readback.done", 33, region=region, **more) for region in ("primary", "standby")]
    return stale_events(timeline(rows, events=events, readback=logs, **given), Settings())


def test_what_a_region_gained_after_its_first_reading_was_stale() -> None:
    measure = stale({"run-1-7": 32.0, "run-1-5": 32.5, "run-1-9": 31.5})
    assert measure.value == 2
    assert measure.evidence["by_region"] == {"primary": 0, "standby": 2}
    assert measure.evidence["ids"] == {"primary": [], "standby": ["run-1-5", "run-1-7"]}
    assert stale({}).value == 0


def test_readings_that_note_no_moments_leave_staleness_unknown() -> None:
    assert stale({}, first_read_s=None).reason == (
        "The readings of primary and standby did not note when an event was seen first."
    )
    assert stale_events(timeline(writes()), Settings()).value is None


def test_a_region_that_was_not_read_may_have_been_stale() -> None:
    events = [e for e in usual_events() if e.data.get("region") != "standby"]
    for told in events:
        if told.kind == "readback.done":
            told.data["first_read"] = ns(31.5)
    logs = [ReadBack(trial=1, region="primary", id=f"run-1-{n}", count=1, t_seen=ns(31)) for n in range(1500)]
    measure = stale_events(timeline(writes(), events=events, readback=logs), Settings())
    assert (measure.value, measure.possible) == (None, (0, math.inf))


def test_the_books_say_what_is_certain_and_how_the_store_replicates() -> None:
    refused = failed(12, stream="load", op="event", id="run-1-L1", error="refused")
    wrong = failed(12, stream="load", op="event", id="run-1-L2", error="http", status=422)
    hung = failed(12, stream="load", op="event", id="run-1-L3", error="timeout")
    broken = failed(12, stream="load", op="event", id="run-1-L4", error="http", status=500)
    twice = [failed(12, stream="load", op="event", id="run-1-L5", error=kind) for kind in ("refused", "reset")]
    deployed = event("target.deployed", -9, replication="async")
    deployed.trial = None
    rows = [*writes(), refused, wrong, hung, broken, *twice]
    whole = timeline(rows, events=[*usual_events(), deployed])
    found = rpo_events(lose(whole, "standby", "run-1-450", "run-1-400"), Settings()).evidence
    assert (found["sent"], found["acknowledged"], found["failed"], found["indeterminate"]) == (1505, 1500, 2, 3)
    assert found["oldest_lost"] == {"id": "run-1-400", "age_s": pytest.approx(1.978)}
    assert found["replication"] == "async"
    assert rpo_events(timeline(writes()), Settings()).evidence["oldest_lost"] is None


def test_a_service_that_cannot_be_read_back_lost_an_unknown_number() -> None:
    blind = Settings(regions=())
    for measure in (rpo_events, rpo_s, duplicated_events, stale_events):
        found = measure(timeline(writes()), blind)
        assert (found.value, found.possible) == (None, None)
        assert "no way to read its events back" in str(found.reason)
