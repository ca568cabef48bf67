"""Recovery times with more than one fault: each counts by itself, unless the next came before the service was back."""

from __future__ import annotations

from typing import Any

import pytest

from drills.measures import Settings
from drills.measures.rto import rto_read
from drills.measures.rto_quality import rto_quality
from drills.recording.record import Event
from drills.recording.timeline import Timeline
from tests.measures.literal import END_S, event, ns, quality, reads, timeline, usual_events, without

FIRST_S, SECOND_S = 8.0, 16.0
INTERVAL_S = 0.02


def struck(*seconds: float) -> list[Event]:
    """A trial in which a fault of its own strikes at each of these seconds."""
    injected = [
        event("fault.injected", s, fault="noop", arguments={"n": n}, t_begin=ns(s - 0.01), t_ack=ns(s))
        for n, s in enumerate(seconds)
    ]
    return [*without(usual_events(), "fault.injected", "fault.intent", "fault.effect"), *injected]


def rto(bad: Any, *seconds: float) -> Any:
    return rto_read(timeline(reads(bad), struck(*seconds)), Settings())


def test_a_harmless_fault_before_does_not_lengthen_the_outage_of_the_next() -> None:
    measure = rto(lambda s: SECOND_S <= s < SECOND_S + 1.5, FIRST_S, SECOND_S)
    assert measure.value == pytest.approx(1.5, abs=INTERVAL_S)
    assert measure.evidence["from_fault"] == 2
    assert measure.evidence["began_s"] == pytest.approx(SECOND_S - FIRST_S, abs=INTERVAL_S)


def test_the_longest_of_two_recoveries_is_the_value() -> None:
    def bad(s: float) -> bool:
        return FIRST_S <= s < FIRST_S + 2 or SECOND_S <= s < SECOND_S + 0.5

    measure = rto(bad, FIRST_S, SECOND_S)
    assert measure.value == pytest.approx(2.0, abs=INTERVAL_S)
    assert measure.evidence["from_fault"] == 1


def test_an_outage_that_outlasts_the_next_fault_counts_from_the_first() -> None:
    measure = rto(lambda s: FIRST_S <= s < SECOND_S + 1, FIRST_S, SECOND_S)
    assert measure.value == pytest.approx(SECOND_S + 1 - FIRST_S, abs=INTERVAL_S)


def test_a_recovery_less_than_a_window_before_the_next_fault_is_none() -> None:
    measure = rto(lambda s: FIRST_S <= s < SECOND_S - 1 or SECOND_S <= s < SECOND_S + 1, FIRST_S, SECOND_S)
    assert measure.value == pytest.approx(SECOND_S + 1 - FIRST_S, abs=INTERVAL_S)


def test_a_fault_right_after_another_counts_by_itself_where_nothing_had_failed() -> None:
    measure = rto(lambda s: 8.5 <= s < 9.5, 8.0, 8.5)
    assert measure.value == pytest.approx(1.0, abs=INTERVAL_S)


def test_one_that_is_never_over_is_a_lower_bound_from_its_own_fault() -> None:
    measure = rto(lambda s: s >= SECOND_S, FIRST_S, SECOND_S)
    assert measure.censored
    assert measure.value == pytest.approx(END_S - SECOND_S, abs=0.2)


def test_too_short_a_time_after_the_last_fault_is_unknown() -> None:
    measure = rto(lambda _: False, FIRST_S, END_S - 1)
    assert measure.value is None
    assert "must hold" in (measure.reason or "")


def test_quality_counts_from_its_own_fault_too() -> None:
    found = timeline(quality(lambda s, _: not SECOND_S <= s < SECOND_S + 3), struck(FIRST_S, SECOND_S))
    baseline = Event(
        t=0, kind="baseline.recorded", data={"quality": {f"q{n}": 1 for n in range(50)}, "measures": {}, "lists": {}}
    )
    found = Timeline(events=[*found.events, baseline], requests=found.requests, readback=found.readback)
    measure = rto_quality(found, Settings())
    assert measure.value == pytest.approx(3.0, abs=0.6)
