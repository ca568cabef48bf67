"""What holds for every measure on every timeline, and for the verdict over them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.measures import Measure, Settings, measure_trial
from drills.recording.record import Event, ReadBack, Request
from drills.recording.timeline import Timeline
from drills.spec import Objective
from drills.verdict import Outcome, judge
from drills.verdict_document import to_json
from tests.measures.literal import END_S, event, log_of, ns, quality, reads, request, usual_events, writes

FEW = settings(max_examples=12, deadline=None)
MANY = settings(max_examples=40, deadline=None)
LIST = [f"i{n}" for n in range(20)]


@dataclass(frozen=True)
class Recorded:
    """A trial as drawn: what the clients saw, and what stood in the logs."""

    requests: list[Request]
    logs: list[ReadBack]

    def timeline(self, events: list[Event] | None = None) -> Timeline:
        told = [*usual_events(), BASELINE] if events is None else events
        return Timeline(events=told, requests=self.requests, readback=self.logs)


BASELINE = event(
    "baseline.recorded",
    -5,
    measures={},
    quality={f"q{n}": n % 2 for n in range(50)},
    lists={f"q{n}": LIST for n in range(50)},
)
BASELINE.trial = None
FIRST_READ = next(e.t for e in usual_events() if e.kind == "readback.done")

Spans = st.lists(st.tuples(st.floats(9, 28), st.floats(0.01, 6)), max_size=3)


@st.composite
def recorded(draw: st.DrawFn) -> Recorded:
    """Outages, slow and late answers, wrong lists, lost and doubled events, two regions taking turns."""
    spans, chance = draw(Spans), random.Random(draw(st.integers(0, 2**32)))
    worse, rare = draw(st.sampled_from([0.0, 0.1, 0.9])), draw(st.sampled_from([0.0, 0.002]))
    odd, turns = draw(st.sampled_from([0.0, 0.003, 0.03])), draw(st.sampled_from([0.0, 0.1]))

    def bad(second: float) -> bool:
        return any(begin <= second < begin + length for begin, length in spans)

    def answer(row: Request) -> Request:
        second = row.t_scheduled / 1e9 - 1000
        if not row.ok or chance.random() >= odd:
            return row
        changed: dict[str, Any] = {"latency_s": chance.choice([0.01, 0.3, 0.6, 1.5])}
        changed |= {"late_s": chance.choice([0, 0, 0.002, 0.08])}
        kept = {name: getattr(row, name) for name in ("stream", "op", "id", "hits", "expected", "items")}
        return request(second, **kept, **changed, region="standby" if chance.random() < turns else "primary")

    asked = quality(lambda s, user: None if bad(s) else user % 2 == 1 and (s < 10 or chance.random() >= worse))
    for row in asked:
        if row.ok:
            row.items = LIST if row.t_scheduled < ns(10) else chance.sample(LIST, 20)
    rows = [answer(row) for row in (*reads(bad), *writes(bad), *asked)]
    logs = [row for row in log_of("primary", "standby", requests=rows) if chance.random() >= rare]
    for row in logs:
        row.count += chance.random() < rare
    return Recorded(rows, logs)


def document(seen: Timeline, *objectives: Objective) -> bytes:
    return to_json(judge(seen, objectives or [Objective("rto_read_s", max=1)], run="r", drill="d"))


@FEW
@given(recorded(), st.integers(0, 10**15), st.integers(0, 2**32))
def test_neither_the_clock_nor_the_order_of_records_changes_anything(seen: Recorded, by: int, seed: int) -> None:
    events = [
        msgspec.structs.replace(e, t=e.t + by, data={k: v + by if k.startswith("t_") else v for k, v in e.data.items()})
        for e in (*usual_events(), BASELINE)
    ]
    moved = [
        msgspec.structs.replace(r, t_scheduled=r.t_scheduled + by, t_sent=r.t_sent + by, t_done=r.t_done + by)
        for r in seen.requests
    ]
    logs = list(seen.logs)
    for rows in (events, moved, logs):
        random.Random(seed).shuffle(rows)  # type: ignore[arg-type]  # lists of three kinds
    assert document(Recorded(moved, logs).timeline(events)) == document(seen.timeline())


def worst(measure: Measure) -> float:
    """The most that an objective could be held against; infinite where there is no telling."""
    if measure.censored or (measure.value is None and measure.possible is None):
        return float("inf")
    return measure.possible[1] if measure.possible else float(measure.value or 0)


@FEW
@given(recorded(), st.data())
def test_more_successes_never_raise_a_recovery_time_or_a_count_of_failures(seen: Recorded, data: st.DataObject) -> None:
    bad = [n for n, r in enumerate(seen.requests) if not r.ok]
    share, chance = data.draw(st.floats(0, 1)), random.Random(data.draw(st.integers(0, 2**32)))
    mended = {n for n in bad if chance.random() < share}
    better = [healed(r) if n in mended else r for n, r in enumerate(seen.requests)]
    before, after = (measure_trial(Recorded(rows, seen.logs).timeline()) for rows in (seen.requests, better))
    for name in ("rto_read_s", "rto_write_s", "failed_reads", "failed_writes"):
        assert worst(after[name]) <= worst(before[name]) + 1e-9
    assert (after["availability"].value or 0) >= (before["availability"].value or 0)


def healed(row: Request) -> Request:
    kept = {name: getattr(row, name) for name in ("stream", "op", "id")}
    return request(row.t_scheduled / 1e9 - 1000, **kept)


@FEW
@given(recorded(), st.floats(0.02, END_S - 0.02))
def test_a_success_more_never_raises_a_recovery_time(seen: Recorded, second: float) -> None:
    before = measure_trial(seen.timeline())
    after = measure_trial(Recorded([*seen.requests, request(second)], seen.logs).timeline())
    # It may share its slot with a failure; the slot's worst request counts, so nothing gets worse by it.
    assert worst(after["rto_read_s"]) <= worst(before["rto_read_s"]) + 1e-9


LIMITS: dict[str, Callable[[float], Objective]] = {
    "rto_read_s": lambda x: Objective("rto_read_s", max=0.05 + 10 * x),
    "rto_write_s": lambda x: Objective("rto_write_s", max=0.05 + 10 * x),
    "rto_quality_s": lambda x: Objective("rto_quality_s", max=0.05 + 15 * x),
    "rpo_events": lambda x: Objective("rpo_events", max=round(3 * x)),
    "rpo_s": lambda x: Objective("rpo_s", max=5 * x),
    "duplicated_events": lambda x: Objective("duplicated_events", max=round(3 * x)),
    "split_brain_events": lambda x: Objective("split_brain_events", max=round(30 * x)),
    "stale_events": lambda x: Objective("stale_events", max=round(3 * x)),
    "recall_at_20": lambda x: Objective("recall_at_20", min=x / 2),
    "recall_ratio": lambda x: Objective("recall_at_20", min_ratio=0.5 + x / 2),
    "overlap_at_20": lambda x: Objective("overlap_at_20", min=x),
    "availability": lambda x: Objective("availability", min=0.5 + x / 2),
    "failed_reads": lambda x: Objective("failed_reads", max=round(200 * x)),
    "failed_writes": lambda x: Objective("failed_writes", max=round(200 * x), phase="during"),
    "p50_ms": lambda x: Objective("p50_ms", max=4.5 + x),
    "p99_ms": lambda x: Objective("p99_ms", max=1000 * x, phase="after"),
    "p99_ratio": lambda x: Objective("p99_ms", max_ratio=0.1 + 100 * x),
    "throughput_rps": lambda x: Objective("throughput_rps", min=120 * x),
    "throughput_ratio": lambda x: Objective("throughput_rps", min_ratio=0.5 + x / 2),
    "lateness_p99_ms": lambda x: Objective("lateness_p99_ms", max=100 * x),
}


@pytest.mark.parametrize("name", LIMITS)
@settings(max_examples=8, deadline=None)
@given(recorded(), st.floats(0, 1), st.integers(0, 2**32), st.sampled_from([0.0005, 0.02, 0.3]))
def test_dropping_records_never_turns_fail_into_pass(
    name: str, seen: Recorded, limit: float, seed: int, share: float
) -> None:
    """Of what a schedule says must be there: all but each stream's first slot and the last 0.1 s."""
    chance, noticed = random.Random(seed), (ns(0.06), ns(END_S - Settings().settle_s - 0.02))
    kept = [r for r in seen.requests if not noticed[0] <= r.t_scheduled < noticed[1] or chance.random() >= share]
    logs = [row for row in seen.logs if chance.random() >= share / 100]
    objective = LIMITS[name](limit)
    outcomes = []
    for rows, found in ((seen.requests, seen.logs), (kept, logs)):
        timeline = Recorded(rows, found).timeline([*with_counts(seen.logs), BASELINE])
        outcomes.append(judge(timeline, [objective], run="r", drill="d").trials[0].measures)
    key = next(k for k, judged in outcomes[0].items() if judged.objective)
    full, partial = outcomes[0][key].outcome, outcomes[1][key].outcome
    assert not (full is Outcome.FAIL and partial is Outcome.PASS)


def with_counts(logs: list[ReadBack]) -> list[Event]:
    """The usual events; each region's reading says how many events it found, and when its first one ended."""
    told = usual_events()
    for one in told:
        if one.kind == "readback.done":
            one.data |= {"found": sum(row.region == one.data["region"] for row in logs), "first_read": one.t}
    for n, row in enumerate(logs):
        row.t_seen = FIRST_READ + (n % 1000 == 7)
    return told
