"""How late the prober was, how much was answered, and which baseline a ratio is held against."""

from __future__ import annotations

import math
from typing import Any

import pytest

from drills.measures import Settings, absent, measure_trial
from drills.measures.latency import p99
from drills.measures.lateness import lateness
from drills.measures.throughput import throughput
from drills.recording.record import Event, Request
from drills.spec import Objective
from drills.verdict import Outcome, judge
from tests.measures.literal import event, failed, ns, quality, reads, request, timeline, usual_events, without, writes

DEFAULT = Settings()


def late(seconds: float, every: int) -> list[Request]:
    """Reads of which one in ``every`` was sent late."""
    return [
        request(r.t_scheduled / 1e9 - 1000, late_s=seconds if n % every == 0 else 0.0003) for n, r in enumerate(reads())
    ]


def test_lateness_is_an_order_statistic_of_all_probes() -> None:
    measure = lateness(timeline(late(0.004, 50)), DEFAULT, "post_fault")
    assert (measure.value, measure.possible, measure.reason) == (pytest.approx(4), None, None)
    assert measure.evidence["p50_ms"] == pytest.approx(0.3)
    assert lateness(timeline(late(0.004, 200)), DEFAULT, "post_fault").value == pytest.approx(0.3)


def test_a_prober_that_fell_behind_says_so_beside_the_latencies() -> None:
    seen = timeline(late(0.02, 50))
    said = "The prober itself fell behind: 1 % of its probes were sent 20.0 ms or more after they were due"
    assert str(lateness(seen, DEFAULT, "post_fault").reason).startswith(said)
    assert str(p99(seen, DEFAULT, "post_fault").reason).startswith(said)
    assert p99(timeline(late(0.004, 50)), DEFAULT, "post_fault").reason is None


def test_the_raw_percentile_stands_beside_the_corrected_one() -> None:
    measure = p99(timeline(late(0.02, 50)), DEFAULT, "post_fault")
    assert measure.value == pytest.approx(25)
    assert measure.evidence["raw_ms"] == pytest.approx(5)
    dark = p99(timeline(reads(lambda s: s >= 10)), DEFAULT, "post_fault")
    assert dark.evidence["raw_ms"] is None


def test_probes_that_were_not_sent_may_have_been_late_by_any_time() -> None:
    rows = [r for r in reads() if not ns(15) <= r.t_scheduled < ns(15.4)]
    measure = lateness(timeline(rows), DEFAULT, "post_fault")
    assert measure.value is None
    assert measure.possible == (0, math.inf)
    assert "20 probes were not sent or not recorded" in str(measure.reason)


def test_lateness_of_few_probes_is_unknown() -> None:
    events = [*without(usual_events(), "prober.started"), event("prober.started", 0, rates={"probe_read": 2})]
    assert lateness(timeline(reads()[::25], events=events), DEFAULT, "before").value is None


def test_throughput_counts_what_arrived_while_the_phase_lasted() -> None:
    seen = timeline([*reads(lambda s: 10 <= s < 15), *writes()])
    assert throughput(seen, DEFAULT, "before").value == pytest.approx(100, rel=0.01)
    assert throughput(seen, DEFAULT, "during").value == pytest.approx(75, rel=0.01)
    assert throughput(seen, DEFAULT, "after").value == pytest.approx(100, rel=0.01)
    assert throughput(seen, DEFAULT, "during").resolution == pytest.approx(1 / 10.01)


def test_the_phase_before_counts_from_when_all_clients_were_there() -> None:
    rows = [r for r in reads() if r.t_scheduled >= ns(5)]
    events = [*usual_events(), event("load.started", 5)]
    assert throughput(timeline(rows, events=events), DEFAULT, "before").value == pytest.approx(50, rel=0.01)


def test_a_missing_probe_may_have_been_answered() -> None:
    seen = timeline([r for r in reads() if not ns(15) <= r.t_scheduled < ns(16)])
    measure = throughput(seen, DEFAULT, "after")
    assert measure.possible is None
    during = throughput(seen, DEFAULT, "during")
    assert during.possible == (pytest.approx(45, rel=0.01), pytest.approx(50, rel=0.01))


def test_a_phase_that_hardly_lasted_has_no_throughput() -> None:
    soon = [*without(usual_events(), "load.stopped"), event("load.stopped", 20.5)]
    assert throughput(timeline(reads(), events=soon), DEFAULT, "after").value is None
    never = without(usual_events(), "fault.healed")
    assert throughput(timeline(reads(), events=never), DEFAULT, "after").reason == "The trial has no phase 'after'."


def recorded(**data: Any) -> list[Event]:
    steady = {"p99_ms": 2.5, "availability": 1.0, "throughput_rps": 200.0}
    told = event("baseline.recorded", -5, measures=steady, quality={}, **data)
    told.trial = None
    return [*usual_events(), told]


@pytest.mark.parametrize(("data", "source", "p99_ms"), [
    ({"same_host": True}, "recorded", 2.5),
    ({"same_host": False}, "before", 5.0),
    ({}, "before", 5.0),
])  # fmt: skip
def test_ratios_are_held_against_a_baseline_of_the_same_host(data: dict[str, bool], source: str, p99_ms: float) -> None:
    found = measure_trial(timeline([*reads(), *writes()], events=recorded(**data)))
    assert found["p99_ms"].baseline == pytest.approx(p99_ms)
    assert found["p99_ms"].evidence["baseline_from"] == source
    assert found["throughput_rps"].baseline == pytest.approx(200 if source == "recorded" else 100, rel=0.01)
    assert found["p50_ms"].evidence["baseline_from"] == "before"
    assert "baseline_from" not in found["overlap_at_20"].evidence


def test_what_a_service_cannot_show_is_absent_and_not_zero() -> None:
    rows = [*reads(), *quality(lambda s, user: True)]
    settings = Settings(regions=(), writes=False, names_region=False, held_out=False)
    found = measure_trial(timeline(rows), settings)
    assert found.keys().isdisjoint(absent(settings))
    assert not any(name.startswith(("rpo", "rto_write", "failed_writes", "recall")) for name in found)
    assert found["rto_read_s"].value == 0
    for name, why in absent(settings).items():
        judged = judge(timeline(rows), [Objective(name, max=0)], run="r", drill="d", settings=settings)
        assert judged.outcome is Outcome.UNKNOWN
        assert why in judged.reasons[0]
    assert absent(Settings()) == {}


def test_a_wrong_answer_with_a_2xx_is_a_failure_by_its_name() -> None:
    empty = [failed(15 + n / 100, status=200, error="empty", stream="load") for n in range(3)]
    found = measure_trial(timeline([*reads(), *empty]))
    assert found["failed_reads"].value == 3
    assert found["failed_reads"].evidence["errors"] == {"empty": 3}


def test_a_probe_that_may_have_been_under_way_at_the_fault_is_missed_there_too() -> None:
    """Its record gone, a probe due just before the fault may have failed by it."""
    rows = [r for r in reads(lambda s: 9.9 <= s < 10) if not ns(9.9) <= r.t_scheduled < ns(9.92)]
    measure = measure_trial(timeline(rows))["failed_reads"]
    assert measure.possible is not None
