"""Availability, failure counts, latency and milestones on literal timelines."""

from __future__ import annotations

import random

import pytest

from drills import measures
from drills.measures import Settings, measure_trial, milestones
from drills.measures.availability import availability, failed_reads, failed_writes, wilson
from drills.measures.latency import order_statistic_interval, p50, p99
from tests.measures.literal import (
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

DEFAULT = Settings()


def test_availability_by_phase() -> None:
    seen = timeline([*reads(lambda s: 10 <= s < 12), *writes()])
    during = availability(seen, DEFAULT, "during")
    assert during.value == pytest.approx(0.9, abs=0.001)
    assert during.interval == pytest.approx(wilson(900, 1000), abs=0.002)
    assert availability(seen, DEFAULT, "before").value == 1
    assert availability(seen, DEFAULT, "after").value == 1
    assert availability(seen, DEFAULT, "post_fault").value == pytest.approx(0.95, abs=0.001)
    assert during.evidence["errors"] == {"refused": 100}


def test_wilson_s_interval() -> None:
    """Agresti and Coull 1998: 0 of 10 gives 0 to 0.278; symmetric about a half."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    low, high = wilson(5, 10)
    assert low == pytest.approx(1 - high) == pytest.approx(0.2366, abs=1e-4)


def test_failures_are_counted_as_clients_saw_them() -> None:
    load = [
        failed(15, stream="load", op="search"),
        failed(16, stream="load", op="event", id="run-1-L1", status=503, error="http"),
        failed(9.9, stream="load", op="recommend", latency_s=0.5),
    ]
    seen = timeline([*reads(), *writes(), *load])
    assert failed_reads(seen, DEFAULT, "post_fault").value == 2
    assert failed_reads(seen, DEFAULT, "before").value == 0
    assert failed_writes(seen, DEFAULT, "during").evidence["errors"] == {"http 503": 1}


def test_missing_probes_may_have_failed() -> None:
    seen = timeline([r for r in reads() if not ns(15) <= r.t_scheduled < ns(15.1)])
    measure = failed_reads(seen, DEFAULT, "post_fault")
    assert (measure.value, measure.possible) == (5, (0, 5))
    share = availability(seen, DEFAULT, "post_fault")
    assert share.possible is not None and share.possible[0] < 1 == share.possible[1]


def test_a_probe_that_was_never_sent_is_neither_success_nor_failure() -> None:
    rows = [failed(r.t_scheduled / 1e9 - 1000, error="not_sent") if r.t_scheduled == ns(15.007) else r for r in reads()]
    assert failed_reads(timeline(rows), DEFAULT, "post_fault").possible == (0, 1)


def test_a_phase_without_requests_is_unknown() -> None:
    seen = timeline(reads(), events=without(usual_events(), "fault.healed"))
    assert availability(seen, DEFAULT, "after").value is None
    assert p99(seen, DEFAULT, "after").value is None


def test_percentiles_are_order_statistics() -> None:
    rows = [request(10.007 + n * 0.02, latency_s=(n + 1) / 1000) for n in range(200)]
    random.Random(1).shuffle(rows)
    seen = timeline(
        rows,
        events=[e for e in usual_events() if e.kind not in ("prober.started", "load.stopped", "trial.ended")],
    )
    assert p50(seen, DEFAULT, "post_fault").value == pytest.approx(100)
    measure = p99(seen, DEFAULT, "post_fault")
    assert measure.value == pytest.approx(198)
    assert measure.interval is not None and measure.interval[0] == pytest.approx(195)


def test_the_ranks_of_a_distribution_free_interval() -> None:
    """Tables of the binomial distribution: for the median of 10, P(X_2 <= m <= X_9) = 0.979."""
    assert order_statistic_interval(10, 0.5) == (2, 9)
    assert order_statistic_interval(100, 0.5) == (40, 61)
    assert order_statistic_interval(100, 0.99)[1] == 0


def test_a_failed_read_counts_as_longer_than_any_answer() -> None:
    seen = timeline(reads(lambda s: 10 <= s < 10.1))
    assert p99(seen, DEFAULT, "post_fault").value == pytest.approx(5)
    dark = p99(timeline(reads(lambda s: 10 <= s < 12)), DEFAULT, "post_fault")
    assert dark.censored
    assert dark.value == pytest.approx(5)


def test_the_load_s_closed_loop_latencies_are_left_out() -> None:
    load = [request(11 + n / 100, stream="load", latency_s=1) for n in range(500)]
    assert p99(timeline([*reads(), *load]), DEFAULT, "post_fault").value == pytest.approx(5)


def test_latency_is_held_against_the_phase_before_the_fault() -> None:
    rows = [request(s, latency_s=0.020) if (s := r.t_scheduled / 1e9 - 1000) > 10 else r for r in reads()]
    measure = measure_trial(timeline(rows))["p50_ms"]
    assert measure.value == pytest.approx(20)
    assert measure.baseline == pytest.approx(5)


def test_milestones() -> None:
    def region(second: float) -> str:
        return "standby" if 10.5 <= second < 25 else "primary"

    rows = [
        failed(s) if 10 <= (s := r.t_scheduled / 1e9 - 1000) < 10.5 else request(s, region=region(s)) for r in reads()
    ]
    told = [
        event("edge.server", 10.2, server="p1", backend="writes", up=False),
        event("edge.server", 10.3, server="p1", backend="reads", up=False),
        event("store.promoted", 10.7, region="standby"),
        event("fault.healed", 29, fault="region_loss", arguments={"region": "primary"}),
    ]
    found = milestones(timeline(rows, events=[*usual_events(), *told]))
    assert found == {
        "injected": 0,
        "first_error": pytest.approx(0.008),
        "detected": pytest.approx(0.3),
        "promoted": pytest.approx(0.7),
        "rerouted": pytest.approx(0.512),
        "first_good": pytest.approx(0.512),
        "healed": pytest.approx(10),
        "failed_back": pytest.approx(15.012),
    }
    nothing = milestones(timeline(reads(), events=without(usual_events(), "fault.injected")))
    assert set(nothing.values()) == {None}
    assert INJECTED_S == 10


def test_a_measure_that_crashes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(measures.OF_A_TRIAL, "rpo_events", broken)
    found = measure_trial(timeline(reads()))
    assert found["rpo_events"].value is None
    assert found["rpo_events"].reason == "Measuring rpo_events failed: ZeroDivisionError: division by zero"
    assert found["rto_read_s"].value == 0
