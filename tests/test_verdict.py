"""PASS, FAIL or UNKNOWN, and the document that says why."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drills.measures import Measure
from drills.objectives import judge_measure
from drills.recording import record
from drills.recording import timeline as timelines
from drills.recording.record import Event
from drills.recording.timeline import Timeline
from drills.spec import Objective
from drills.verdict import Outcome, Verdict, judge
from drills.verdict_document import to_json
from tests.measures.literal import FAULT, INJECTED_S, event, ns, reads, timeline, usual_events, without, writes

FAST = Objective("rto_read_s", max=1.0)
LOSSLESS = Objective("rpo_events", max=0)


def verdict(
    seen: Timeline | None = None, *objectives: Objective, events: list[Event] | None = None, **given: Any
) -> Verdict:
    seen = seen or timeline([*reads(), *writes()], events=events)
    return judge(seen, objectives or (FAST, LOSSLESS), run="run-1", drill="The standby takes over", **given)


def dark(seconds: float, **given: Any) -> Timeline:
    return timeline([*reads(lambda s: 0 <= s - INJECTED_S < seconds), *writes()], **given)


def told(kind: str, second: float, **data: Any) -> Event:
    return event(kind, second, **FAULT, **data)


def test_every_objective_met() -> None:
    judged = verdict()
    assert (judged.outcome, judged.exit_code) == (Outcome.PASS, 0)
    assert judged.reasons == ("All 2 objectives were met.",)


def test_a_violation_fails_and_says_what_and_by_how_much() -> None:
    judged = verdict(dark(2))
    assert (judged.outcome, judged.exit_code) == (Outcome.FAIL, 1)
    assert judged.reasons == (
        "The time until reads worked again and kept working (rto_read_s) was 2.007 s, "
        "but the objective is at most 1 s.",
    )


def test_never_recovered_fails_whatever_the_bound() -> None:
    judged = verdict(dark(99), Objective("rto_read_s", max=60))
    assert judged.outcome is Outcome.FAIL
    assert "was at least 19.9" in judged.reasons[0]
    assert "had not recovered for good when the trial ended" in judged.reasons[0]


def test_a_fault_without_effect_is_unknown_even_if_an_objective_is_violated() -> None:
    noop = [
        *without(usual_events(), "fault.effect"),
        told("fault.effect", 11, observed=False, evidence="all nodes answer"),
    ]
    for seen in (timeline([*reads(), *writes()], events=noop), dark(2, events=noop)):
        judged = verdict(seen)
        assert (judged.outcome, judged.exit_code) == (Outcome.UNKNOWN, 3)
        assert judged.reasons[0] == (
            "The fault region_loss (region: primary) was injected but had no observable effect: all nodes answer."
        )


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (
            without(usual_events(), "fault.effect"),
            "Nobody looked whether the fault region_loss (region: primary) took effect.",
        ),
        (
            without(usual_events(), "fault.injected", "fault.effect"),
            "The fault region_loss (region: primary) was about to be injected, but never reported to be in force.",
        ),
        (
            without(usual_events(), "fault.intent", "fault.injected", "fault.effect"),
            "No fault was injected, so the drill's question was not asked.",
        ),
        (
            without(usual_events(), "heal.confirmed"),
            "It was not confirmed that the fault region_loss (region: primary) was healed: nobody looked.",
        ),
        (
            [*without(usual_events(), "heal.confirmed"), told("heal.confirmed", 21, confirmed=False, evidence="dark.")],
            "It was not confirmed that the fault region_loss (region: primary) was healed: dark.",
        ),
        (
            [*usual_events(), event("abort", 25, reason="availability below 0.2")],
            "It was aborted: availability below 0.2.",
        ),
        ([*usual_events(), event("interrupted", 25, signal="SIGINT")], "It was interrupted by SIGINT."),
        (
            without(usual_events(), "trial.ended"),
            "The trial has no end on record: recdr was stopped in the middle of it.",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(events: list[Event], reason: str) -> None:
    judged = verdict(events=events)
    assert judged.outcome is Outcome.UNKNOWN
    assert reason in judged.reasons


def test_no_probes_is_unknown() -> None:
    judged = verdict(timeline([]))
    assert judged.outcome is Outcome.UNKNOWN
    assert "No probe was recorded, so nothing is known about what clients saw." in judged.reasons


def test_an_unconfirmed_heal_is_unknown_even_if_an_objective_is_violated() -> None:
    judged = verdict(dark(2, events=without(usual_events(), "heal.confirmed")))
    assert (judged.outcome, judged.exit_code) == (Outcome.UNKNOWN, 3)
    assert judged.reasons[0].startswith("It was not confirmed that the fault region_loss (region: primary) was healed")


def test_a_certain_violation_outlives_an_abort() -> None:
    aborted = [*usual_events(), event("abort", 25, reason="took too long")]
    assert verdict(dark(2, events=aborted)).outcome is Outcome.FAIL


def test_what_a_longer_trial_could_still_have_met_is_no_violation() -> None:
    cut = [
        *without(usual_events(), "load.stopped", "trial.ended"),
        event("load.stopped", 16),
        event("interrupted", 16, signal="SIGINT"),
    ]
    rows = [r for r in reads(lambda s: s >= 10) if r.t_scheduled <= ns(16)]
    seen = timeline([*rows, *(r for r in writes() if r.t_scheduled <= ns(16))], events=cut)
    assert verdict(seen, Objective("rto_read_s", max=10)).outcome is Outcome.UNKNOWN
    assert verdict(seen, Objective("rto_read_s", max=3)).outcome is Outcome.FAIL
    assert verdict(seen, Objective("availability", min=0.9)).outcome is Outcome.UNKNOWN
    assert verdict(seen, Objective("failed_reads", max=5)).outcome is Outcome.FAIL


def test_an_interruption_of_the_whole_run_counts() -> None:
    stop = Event(t=ns(25), kind="interrupted", data={"signal": "SIGTERM"})
    judged = verdict(events=[*usual_events(), stop])
    assert judged.outcome is Outcome.UNKNOWN
    assert "It was interrupted by SIGTERM." in judged.reasons


def of_trial(number: int, seen: Timeline) -> Timeline:
    """The same recording as trial ``number``, an hour later each."""
    later = number * 3600 * 10**9
    for e in seen.events:
        e.trial, e.t = number, e.t + later
        e.data = {k: v + later if k.startswith("t_") else v for k, v in e.data.items()}
    requests = [
        msgspec.structs.replace(
            r,
            trial=number,
            t_scheduled=r.t_scheduled + later,
            t_sent=r.t_sent + later,
            t_done=r.t_done + later,
        )
        for r in seen.requests
    ]
    readback = [msgspec.structs.replace(row, trial=number) for row in seen.readback]
    return Timeline(events=seen.events, requests=requests, readback=readback)


def together(*seen: Timeline) -> Timeline:
    numbered = [of_trial(n, s) for n, s in enumerate(seen, 1)]
    return Timeline(
        events=[e for s in numbered for e in s.events],
        requests=[r for s in numbered for r in s.requests],
        readback=[r for s in numbered for r in s.readback],
    )


def test_the_worst_trial_decides() -> None:
    noop = [*without(usual_events(), "fault.effect"), told("fault.effect", 11, observed=False)]
    judged = verdict(together(dark(0.5), dark(2), dark(0, events=noop)), trials=3)
    assert judged.outcome is Outcome.FAIL
    assert [t.outcome for t in judged.trials] == [Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN]
    assert judged.measures["rto_read_s"].measure.value == pytest.approx(2.0, abs=0.02)
    assert judged.reasons[0].startswith("Trial 2: The time until reads worked again")
    document = json.loads(to_json(judged))
    spread = document["measures"]["rto_read_s"]["over_trials"]
    assert spread["values"] == pytest.approx([0.507, 2.007, 0])
    assert (spread["median"], spread["range"]) == (0.507, [0, 2.007])


def test_a_trial_that_was_not_run_is_unknown() -> None:
    judged = verdict(trials=2)
    assert judged.outcome is Outcome.UNKNOWN
    assert judged.reasons == ("Only 1 of 2 planned trials were started.",)


def test_no_objective_is_no_pass() -> None:
    seen = timeline(reads())
    assert judge(seen, [], run="r", drill="d").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("measure", "objective", "outcome"),
    [
        (Measure("availability", 0.99, "ratio"), Objective("availability", min=0.99), Outcome.PASS),
        (Measure("availability", 0.989, "ratio"), Objective("availability", min=0.99), Outcome.FAIL),
        (Measure("p99_ms", 100.0, "ms", baseline=50.0), Objective("p99_ms", max_ratio=2), Outcome.PASS),
        (Measure("p99_ms", 101.0, "ms", baseline=50.0), Objective("p99_ms", max_ratio=2), Outcome.FAIL),
        (Measure("p99_ms", 10.0, "ms"), Objective("p99_ms", max_ratio=2), Outcome.UNKNOWN),
        (Measure("p99_ms", 10.0, "ms"), Objective("p99_ms", max=20, max_ratio=2), Outcome.UNKNOWN),
        (Measure("p99_ms", 30.0, "ms"), Objective("p99_ms", max=20, max_ratio=2), Outcome.FAIL),
        (Measure("p99_ms", None, "ms"), Objective("p99_ms", max=20), Outcome.UNKNOWN),
        (Measure("rto_read_s", 2.0, "s", possible=(1, 2)), Objective("rto_read_s", max=2), Outcome.PASS),
        (Measure("rto_read_s", 2.0, "s", possible=(1, 2)), Objective("rto_read_s", max=1.5), Outcome.UNKNOWN),
        (Measure("rto_read_s", 2.0, "s", possible=(1, 2)), Objective("rto_read_s", max=0.5), Outcome.FAIL),
        (Measure("rpo_events", None, "events", possible=(0, math.inf)), LOSSLESS, Outcome.UNKNOWN),
        (Measure("rto_read_s", 3.0, "s", censored=True), Objective("rto_read_s", max=9), Outcome.FAIL),
    ],
)
def test_a_measure_against_its_objective(measure: Measure, objective: Objective, outcome: Outcome) -> None:
    assert judge_measure(measure, objective).outcome is outcome


def test_the_phase_of_an_objective_is_judged() -> None:
    seen = timeline([*reads(lambda s: 10 <= s < 12), *writes()])
    assert verdict(seen, Objective("availability", min=0.999, phase="after")).outcome is Outcome.PASS
    assert verdict(seen, Objective("availability", min=0.999, phase="post_fault")).outcome is Outcome.FAIL
    entry = json.loads(to_json(verdict(seen, Objective("availability", min=0.999, phase="after"))))
    assert entry["measures"]["availability@after"]["objective"] == {"min": 0.999, "phase": "after"}


def test_an_objective_that_nobody_measures_is_unknown() -> None:
    judged = verdict(None, Objective("happiness", min=1))
    assert judged.outcome is Outcome.UNKNOWN
    assert judged.reasons == ("happiness is unknown: Nobody measures happiness.",)


def test_a_copied_run_directory_gives_the_same_bytes(tmp_path: Path) -> None:
    seen, here, there = dark(2), tmp_path / "here", tmp_path / "there"
    here.mkdir()
    encoded = (record_line(e) for e in seen.events)
    (here / "events.jsonl").write_bytes(b"".join(encoded))
    writer = record.RequestWriter(here / "requests.part")
    for row in seen.requests:
        writer.write(row)
    writer.close()
    record.write_requests(here / "requests.parquet", [here / "requests.part"])
    record.write_readback(here / "readback.parquet", seen.readback)
    shutil.copytree(here, there)
    documents = {to_json(verdict(timelines.read(folder))) for folder in (here, there)}
    assert documents == {to_json(verdict(seen))}


def record_line(row: msgspec.Struct) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def test_the_document_is_stable_and_has_no_infinity() -> None:
    cut = dark(99, events=without(usual_events(), "readback.done"))
    first = to_json(verdict(cut))
    requests = list(cut.requests)
    random.Random(1).shuffle(requests)
    random.Random(2).shuffle(cut.events)
    assert to_json(verdict(Timeline(events=cut.events, requests=requests, readback=cut.readback))) == first
    document = json.loads(first, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(document)[:5] == ["schema_version", "outcome", "reasons", "run", "drill"]
    entry = document["measures"]["rpo_events"]
    assert (entry["value"], entry["possible"], entry["outcome"]) == (None, [0, None], "UNKNOWN")
    assert document["trials"][0]["faults"][0]["effect_observed"] is True
    assert document["measures"]["rto_read_s"]["resolution"] == 0.02


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (
            event("step.ended", 12, name="drain-the-pool", status="failed", error="no such pool"),
            "drain-the-pool failed",
        ),
        (event("steady.checked", 9, when="before", met=False), "not met before the fault"),
        (event("steady.checked", 19, when="after", met=False), "not met again at the end"),
    ],
)
def test_what_chaos_toolkit_calls_completed_is_no_pass(extra: record.Event, said: str) -> None:
    whole = timeline(reads(), events=[*usual_events(), extra])
    verdict = judge(whole, [Objective("rto_read_s", max=5.0)], run="r", drill="d")
    assert verdict.outcome is Outcome.UNKNOWN
    assert any(said in reason for reason in verdict.reasons)


def test_fewer_faults_than_planned_are_no_pass() -> None:
    events = [e for e in usual_events() if e.kind != "trial.started"]
    started = event("trial.started", 0, variant=None, planned=2)
    verdict = judge(
        timeline(reads(), events=[started, *events]), [Objective("rto_read_s", max=5.0)], run="r", drill="d"
    )
    assert verdict.outcome is Outcome.UNKNOWN
    assert "Only 1 of the drill's 2 faults were injected." in verdict.reasons
