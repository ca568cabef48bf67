"""``junit.xml`` and ``summary.md``: what a CI job makes of them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import reports
from tests.reports import fakerun


def cases(run_dir: Path) -> dict[str, ET.Element]:
    suite = ET.parse(run_dir / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    return {case.get("name", ""): case for case in suite.iter("testcase")}


def test_one_case_an_objective_and_two_for_the_evidence(passed: Path) -> None:
    found = cases(passed)
    assert list(found) == [
        "rto_read_s at most 1 s",
        "rto_write_s at most 3 s",
        "rpo_events at most 0",
        "recall_at_20 at least 0.95 × baseline",
        "p99_ms at most 100 ms, after healing",
        "fault had an observable effect",
        "healed",
    ]
    assert all(case.find("failure") is None and case.find("error") is None for case in found.values())


def test_a_missed_objective_is_a_failure_with_its_evidence(failed: Path) -> None:
    root = ET.parse(failed / "junit.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "0")
    failure = cases(failed)["rto_read_s at most 0.001 s"].find("failure")
    assert failure is not None
    assert failure.get("message") == "Reads disturbed: 0.40 s, at most 0.001 s"
    assert failure.text is not None
    assert "failed: 41" in failure.text
    assert "Trial 2: 0.39 s FAIL" in failure.text


def test_what_was_not_observed_is_an_error(tmp_path: Path) -> None:
    run_dir = fakerun.write(tmp_path / "run", outcome="UNKNOWN")
    reports.build(run_dir)
    error = cases(run_dir)["rpo_events at most 0"].find("error")
    assert error is not None
    assert "could not be read back" in (error.get("message") or "")


def test_a_fault_without_effect_is_an_error_and_one_not_healed_a_failure(run_dir: Path) -> None:
    events = (run_dir / "events.jsonl").read_text()
    events = events.replace('"observed":true', '"observed":false').replace('"confirmed":true', '"confirmed":false')
    (run_dir / "events.jsonl").write_text(events)
    reports.build(run_dir)
    found = cases(run_dir)
    assert found["fault had an observable effect"].find("error") is not None
    assert found["healed"].find("failure") is not None


def test_an_unknown_run_without_a_bad_objective_is_still_red(run_dir: Path) -> None:
    verdict = json.loads((run_dir / "verdict.json").read_text())
    verdict |= {"outcome": "UNKNOWN", "reasons": ["The fault had no observable effect."]}
    (run_dir / "verdict.json").write_text(json.dumps(verdict))
    reports.build(run_dir)
    assert cases(run_dir)["the run could be judged"].find("error") is not None


def test_the_summary_is_short_and_says_it_all(failed: Path) -> None:
    summary = (failed / "summary.md").read_text()
    assert summary.startswith("## ❌ FAIL: ")
    assert len(summary.splitlines()) < 30
    assert summary.count("| ❌\u00a0FAIL |") == 2
    assert "`report.html`" in summary
