"""A calibration must notice an instrument that lies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drills.calibration import figures, run, trials
from drills.calibration.run import Plan, plan
from drills.calibration.session import Session
from drills.calibration.trials import Trial, wrong_records
from drills.load import readback
from drills.recording.timeline import ReadBacks, Requests, Timeline

LYING = """
import sys
import msgspec
from drills.load import prober

class Lying(prober.RequestWriter):
    def write(self, request):
        {lie}

prober.RequestWriter = Lying
sys.exit(prober.main(sys.argv[1:]))
"""
SHIFTS = """
        late = {name: getattr(request, name) + 100_000_000 for name in ("t_scheduled", "t_sent", "t_done")}
        super().write(msgspec.structs.replace(request, **late))
"""
KEEPS_FAILURES_BACK = """
        if request.ok:
            super().write(request)
"""
PRAISES = """
        super().write(msgspec.structs.replace(request, status=200, error=None))
"""


def calibrated(folder: Path, lie: str, shape: str) -> dict[str, Any]:
    script = folder / "lying.py"
    script.write_text(LYING.replace("{lie}", lie.strip()))
    planned = dataclasses.replace(plan([shape], repetitions=1), argv=("-P", str(script)))
    return run.calibrate(planned, folder, lambda *_: None)


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    return {row["measure"]: row["outcome"] for row in document["summary"]}


def test_times_that_are_off_by_100_ms(tmp_path: Path) -> None:
    document = calibrated(tmp_path, SHIFTS, "errors-0.1")
    assert document["outcome"] == "FAIL"
    [rto] = [row for row in document["summary"] if row["measure"] == "rto_read_s"]
    assert rto["worst_error"] == pytest.approx(0.1, abs=0.03)
    assert rto["outcome"] != "PASS"
    assert any("record was outside its bound in 1 of 1" in reason for reason in document["reasons"])
    assert outcomes(document)["record"] == "FAIL", "writes arrived before they were sent"


def test_failures_that_are_not_recorded(tmp_path: Path) -> None:
    document = calibrated(tmp_path, KEEPS_FAILURES_BACK, "errors-0.1")
    assert document["outcome"] != "PASS"
    found = outcomes(document)
    assert "PASS" not in (found[name] for name in ("record", "rto_read_s", "failed_reads"))


def test_failures_that_are_recorded_as_successes(tmp_path: Path) -> None:
    document = calibrated(tmp_path, PRAISES, "errors-0.1")
    found = outcomes(document)
    assert "PASS" not in (found[name] for name in ("record", "rto_read_s", "failed_reads", "availability"))


@pytest.fixture(scope="module")
def losing(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial that lost some writes, as it was recorded."""
    session = Session(tmp_path_factory.mktemp("losing"))
    with pytest.MonkeyPatch.context() as patched, session.running():
        patched.setattr(readback, "CATCH_UP_S", 1.0)
        patched.setattr(readback, "CALM_S", 0.5)
        session.perform(plan(["lost-in-one"]).shapes[0])
    return trials.of_session(session)[0]


def lost(trial: Trial) -> figures.Figure:
    return next(figure for figure in figures.of_trial(trial) if figure.measure == "rpo_events")


def test_a_record_of_losses_that_was_tampered_with(losing: Trial) -> None:
    assert lost(losing).within
    rows = list(losing.timeline.readback)
    lacking = {row.id for row in rows if row.region == "primary"} - {r.id for r in rows if r.region == "standby"}
    invented = [*rows, msgspec.structs.replace(rows[0], region="standby", id=min(lacking))]
    events = [
        msgspec.structs.replace(e, data={**e.data, "found": e.data["found"] + (e.data["region"] == "standby")})
        if e.kind == "readback.done"
        else e
        for e in losing.timeline.events
    ]
    tampered = Timeline(events=events, requests=losing.timeline.requests, readback=ReadBacks.of(invented))
    figure = lost(dataclasses.replace(losing, timeline=tampered))
    assert (figure.error, figure.within, figure.excused) == (-1, False, False)


def test_an_acknowledgement_that_vanished_from_the_record(losing: Trial) -> None:
    kept = [r for r in losing.requests if r.id != next(s.id for s in losing.books.writes()[10:] if s.ok)]
    count, example = wrong_records(dataclasses.replace(losing, requests=kept))
    assert count >= 1
    assert example is not None
    assert "has no record" in example
    without_writes = Requests.of(r for r in losing.timeline.requests if r.stream != "probe_write")
    seen = losing.timeline
    tampered = Timeline(events=seen.events, requests=without_writes, readback=seen.readback)
    assert lost(dataclasses.replace(losing, timeline=tampered)).measured is None


def test_a_late_server_is_repeated_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LATE_NS", -1)
    monkeypatch.setattr(run, "MOST_REPEATS", 1)
    planned = Plan(plan(["split-brain"]).shapes, repetitions=1)
    document = run.calibrate(planned, tmp_path, lambda *_: None)
    assert len(document["repeated"]) == 2
    assert document["outcome"] == "UNKNOWN"
    assert "too busy" in document["reasons"][0]
    assert document["figures"] == []
