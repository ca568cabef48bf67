"""Recovery time on literal timelines, and the properties that hold on all of them."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.measures import Measure, Settings, measure_trial
from drills.measures.rto import rto_read, rto_write
from drills.objectives import judge_measure
from drills.outcome import Outcome
from drills.recording.record import Event, Request
from drills.recording.timeline import Timeline
from drills.spec import Objective
from tests.measures.literal import (
    END_S,
    INJECTED_S,
    event,
    failed,
    ns,
    reads,
    request,
    timeline,
    usual_events,
    without,
    writes,
)

INTERVAL_S = 0.02


def rto(requests: list[Request], **changed: Any) -> Measure:
    return rto_read(timeline(requests, **changed), Settings())


def outage(*spans: tuple[float, float]) -> list[Request]:
    """Reads that were refused in the given seconds after the fault."""
    return reads(lambda s: any(a <= s - INJECTED_S < b for a, b in spans))


def test_an_outage_of_two_seconds() -> None:
    measure = rto(outage((0, 2)))
    assert measure.value == pytest.approx(2.0, abs=INTERVAL_S)
    assert measure.resolution == INTERVAL_S
    assert measure.interval is not None and measure.interval[0] < 2.0 < measure.interval[1]
    assert measure.evidence["failed"] == 100


def test_nothing_failed() -> None:
    measure = rto(reads())
    assert (measure.value, measure.resolution, measure.reason) == (0.0, INTERVAL_S, None)


def slowly_injected(begin_s: float) -> list[Event]:
    slow = event("fault.injected", INJECTED_S, fault="x", t_begin=ns(begin_s), t_ack=ns(INJECTED_S))
    return [*without(usual_events(), "fault.injected"), slow]


def test_an_outage_that_began_while_the_fault_was_injected_counts_from_its_first_failure() -> None:
    measure = rto(reads(lambda s: 9.7 <= s < 11), events=slowly_injected(9.5))
    assert measure.value == pytest.approx(1.3, abs=INTERVAL_S)
    assert measure.evidence["recovered_s"] == pytest.approx(1.0, abs=INTERVAL_S)
    assert measure.interval is not None and 1.3 <= measure.interval[1] < 1.3 + 2 * INTERVAL_S


def test_an_outage_that_was_over_before_the_injection_was_acknowledged_is_one() -> None:
    measure = rto(reads(lambda s: 5.0 <= s < 9.0), events=slowly_injected(4.9))
    assert measure.value == pytest.approx(4.0, abs=INTERVAL_S)
    said = "The reads were broken 4.99 s before the injection was acknowledged; the time counts from there."
    assert measure.reason == said


def test_the_interval_reaches_to_the_answer_though_probes_worked_after_the_fault() -> None:
    measure = rto(reads(lambda s: 10.5 <= s < 11, latency_s=0.015))
    assert measure.interval is not None and measure.value is not None
    assert measure.interval[1] >= measure.value + 0.014


def test_the_acknowledgement_counts_where_nothing_failed_before_it() -> None:
    assert rto(reads(lambda s: 10.5 <= s < 11), events=slowly_injected(5)).value == pytest.approx(1.0, abs=INTERVAL_S)


def test_an_outage_that_comes_back_restarts_the_clock() -> None:
    assert rto(outage((0, 1), (8, 9))).value == pytest.approx(9.0, abs=INTERVAL_S)


def test_a_blip_at_fail_back_counts() -> None:
    assert rto(outage((0, 1), (10.5, 10.7))).value == pytest.approx(10.7, abs=INTERVAL_S)


def test_one_isolated_failure_is_no_outage_and_is_mentioned() -> None:
    alone = rto(outage((7, 7.02)))
    assert alone.value == 0
    assert alone.reason == "1 of 995 probes failed, too few in any window to count as an outage."
    assert rto(outage((0, 1), (7, 7.02))).value == pytest.approx(1.0, abs=INTERVAL_S)
    assert rto(outage((0, 1), (7, 7.04))).value == pytest.approx(7.04, abs=INTERVAL_S)


def test_never_recovered_is_a_lower_bound() -> None:
    measure = rto(outage((3, 99)))
    assert measure.censored
    assert measure.value == pytest.approx(END_S - INJECTED_S - Settings().settle_s, abs=INTERVAL_S)


def test_a_recovery_too_close_to_the_end_is_none() -> None:
    assert rto(outage((0, 18.5))).censored


def test_late_answers_are_an_outage() -> None:
    def answers(latency_s: float) -> list[Request]:
        return [
            request(r.t_scheduled / 1e9 - 1000, latency_s=latency_s) if ns(10) <= r.t_scheduled < ns(10.4) else r
            for r in reads()
        ]

    assert rto(answers(1.1)).value == pytest.approx(0.4, abs=INTERVAL_S)
    assert rto(answers(0.5)).value == pytest.approx(0.4, abs=INTERVAL_S)
    assert rto(answers(0.3)).value == 0


def test_answers_held_until_the_return_do_not_shorten_the_outage() -> None:
    held = [request(s, latency_s=12.001 - s) if 10 <= (s := r.t_scheduled / 1e9 - 1000) < 12 else r for r in reads()]
    assert rto(held).value == pytest.approx(2.0, abs=INTERVAL_S)


def test_a_probe_under_way_at_the_fault_is_no_failure_before_it() -> None:
    hung = [
        failed(s, error="timeout", latency_s=2) if 9.9 <= (s := r.t_scheduled / 1e9 - 1000) < 10.1 else r
        for r in reads(lambda s: 10.1 <= s < 11)
    ]
    assert rto(hung).value == pytest.approx(1.0, abs=INTERVAL_S)


def test_writes_have_their_own() -> None:
    both = timeline([*reads(), *writes(lambda s: 10 <= s < 10.8)])
    assert rto_read(both, Settings()).value == 0
    assert rto_write(both, Settings()).value == pytest.approx(0.8, abs=INTERVAL_S)


@pytest.mark.parametrize(
    ("requests", "events", "reason"),
    [
        (reads(), without(usual_events(), "fault.injected"), "No fault was injected"),
        ([], usual_events(), "No probe_read request was recorded."),
        (reads(lambda s: s < 5), usual_events(), "Before the fault 250 of 49"),
        ([r for r in reads() if r.t_scheduled > ns(9.9)], usual_events(), "were probed before the fault"),
        (
            reads(),
            [*without(usual_events(), "load.stopped"), event("load.stopped", 11)],
            "Only 0.90 s were measured after the fault",
        ),
        (
            reads()[::20],
            [*without(usual_events(), "prober.started"), event("load.started", 0, rates={"probe_read": 2.5})],
            "A window of 2 s holds 5 probes",
        ),
    ],
)
def test_what_was_not_observed_is_unknown(requests: list[Request], events: Any, reason: str) -> None:
    measure = rto(requests, events=events)
    assert measure.value is None
    assert measure.reason is not None and reason in measure.reason


def test_missing_probes_open_a_range() -> None:
    gap = [r for r in outage((0, 2)) if not ns(12) <= r.t_scheduled < ns(13)]
    measure = rto(gap)
    assert measure.possible == pytest.approx((2.0, 3.0), abs=INTERVAL_S)
    assert measure.value == pytest.approx(3.0, abs=INTERVAL_S)
    assert measure.reason is not None and "not known" in measure.reason


def test_a_prober_that_died_leaves_the_recovery_open() -> None:
    measure = rto([r for r in outage((0, 2)) if r.t_scheduled < ns(15)])
    assert measure.value is None and not measure.censored
    assert measure.possible is not None and measure.possible[1] == float("inf")


def test_a_prober_that_was_held_up_does_not_blame_the_service() -> None:
    def frozen(r: Request) -> Request:
        second = r.t_scheduled / 1e9 - 1000
        return request(second, late_s=17.5 - second) if 16 <= second < 17.5 else r

    measure = rto([frozen(r) for r in outage((0, 1))])
    assert measure.possible is not None
    assert measure.possible[0] == pytest.approx(1.0, abs=INTERVAL_S)
    assert measure.possible[1] > 6


Spans = st.lists(
    st.tuples(st.floats(0, 18), st.floats(0.01, 6)).map(lambda span: (span[0], span[0] + span[1])), max_size=4
)
QUICK = settings(max_examples=50, deadline=None)


def verdict(measure: Measure, limit_s: float) -> Outcome | None:
    return judge_measure(measure, Objective("rto_read_s", max=limit_s)).outcome


def worst_s(measure: Measure) -> float:
    """What an objective is held against at worst; infinite where the service may never have recovered."""
    if measure.censored or measure.value is None:
        return float("inf")
    return measure.possible[1] if measure.possible else measure.value


@QUICK
@given(Spans, st.data())
def test_more_successes_never_raise_it(spans: list[tuple[float, float]], data: st.DataObject) -> None:
    rows = outage(*spans)
    bad = [n for n, r in enumerate(rows) if not r.ok]
    healed = data.draw(st.sets(st.sampled_from(bad)) if bad else st.just(set()))
    better = [request(r.t_scheduled / 1e9 - 1000) if n in healed else r for n, r in enumerate(rows)]
    assert worst_s(rto(better)) <= worst_s(rto(rows)) + 1e-9


@QUICK
@given(Spans, st.floats(0.01, 19), st.integers(0, 2**32), st.sampled_from([0.001, 0.02, 0.3, 0.9, 1.0]))
def test_dropping_records_never_passes_what_failed(
    spans: list[tuple[float, float]], limit_s: float, seed: int, share: float
) -> None:
    rows = outage(*spans)
    chance = random.Random(seed)
    kept = [r for r in rows if chance.random() >= share]
    full, partial = verdict(rto(rows), limit_s), verdict(rto(kept), limit_s)
    assert not (full is Outcome.FAIL and partial is Outcome.PASS)
    assert not (full is Outcome.PASS and partial is Outcome.FAIL)


@settings(max_examples=8, deadline=None)
@given(Spans, st.integers(0, 10**15), st.integers(0, 2**32))
def test_neither_the_clock_nor_the_order_matters(spans: list[tuple[float, float]], shift: int, seed: int) -> None:
    plain = timeline([*outage(*spans), *writes()])
    moved = shifted(plain, shift, random.Random(seed))
    assert measure_trial(moved) == measure_trial(plain)


def shifted(plain: Timeline, by: int, order: random.Random) -> Timeline:
    """The same timeline on a machine that booted ``by`` ns earlier, written down in another order."""
    requests = [
        msgspec.structs.replace(r, t_scheduled=r.t_scheduled + by, t_sent=r.t_sent + by, t_done=r.t_done + by)
        for r in plain.requests
    ]
    events = [
        msgspec.structs.replace(e, t=e.t + by, data={k: v + by if k.startswith("t_") else v for k, v in e.data.items()})
        for e in plain.events
    ]
    order.shuffle(requests)
    order.shuffle(events)
    return Timeline(events=events, requests=requests, readback=plain.readback)
