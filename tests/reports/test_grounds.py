"""What the figures rest on: calibration, baseline, lateness, list overlap, trials, and what a service cannot show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import reports
from tests.reports import fakerun

EXTERNAL = """\
title: A shop survives
extensions:
  - name: recdr
    target: external
    service: {name: tinyshop, edge: "http://127.0.0.1:8080", read: {path: /recommend}}
"""


def text(html: str) -> str:
    """The page's words, without markup."""
    body = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def changed(run_dir: Path, name: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The words of the report after ``change`` was made to a JSON file of the run."""
    document = json.loads((run_dir / name).read_text())
    change(document)
    (run_dir / name).write_text(json.dumps(document))
    return text(reports.build(run_dir)["report.html"].read_text())


def test_the_error_for_an_outage_like_this_one_is_said(passed: Path) -> None:
    said = "On this host an outage of 0.5 s read as 0.501 s on average (error at most 7 ms in 20 of 20)"
    assert said in text((passed / "report.html").read_text())
    assert said in (passed / "summary.md").read_text().replace("\\", "")
    assert "calibrated on 2026-11-20" in (passed / "junit.xml").read_text()


def test_without_a_calibration_it_says_what_to_run(run_dir: Path) -> None:
    page = changed(run_dir, "meta.json", lambda meta: meta.pop("calibration"))
    assert "not calibrated on this host: run recdr calibrate" in page


def test_a_failed_calibration_is_not_hidden(run_dir: Path) -> None:
    def fail(meta: dict[str, Any]) -> None:
        meta["calibration"] |= {"outcome": "FAIL", "reasons": ["The prober lost 3 writes."]}

    page = changed(run_dir, "meta.json", fail)
    assert "The calibration itself is FAIL." in page
    assert "The prober lost 3 writes." in page


def test_the_baseline_is_named_and_another_host_warned_of(passed: Path, tmp_path: Path) -> None:
    assert "b-91f2c07a" in (passed / "report.html").read_text()
    assert "Another host" not in (passed / "report.html").read_text()
    built = reports.build(fakerun.write(tmp_path / "run", same_host=False))
    assert "Another host" in built["report.html"].read_text()
    assert "recorded on another kind of host" in built["summary.md"].read_text()


def test_raw_stands_beside_corrected_and_lateness_is_said(passed: Path) -> None:
    page = text((passed / "report.html").read_text())
    assert "512 ms raw 6.2 ms" in page.replace("6.20", "6.2")
    assert "The prober sent 99 % of its probes within 1.7 ms of the moment they were due, the latest 22.4 ms." in page


def test_list_overlap_is_shown_by_region(passed: Path) -> None:
    page = text((passed / "report.html").read_text())
    assert "By primary By standby By model 0ld1c22b7de1 By model 3f9a1c22b7de" in page
    assert "During the fault 0.951 0.991 0.934 0.934 0.991" in page
    assert "primary with standby 0.938" in page


def test_trials_show_worst_median_and_why_there_is_no_interval(failed: Path) -> None:
    page = text((failed / "report.html").read_text())
    assert "Interval of the median" in page
    assert "6 trials are needed, 3 were run" in page
    assert page.count("judged on this") == 5


def test_six_trials_have_an_interval_open_where_it_is_censored(tmp_path: Path) -> None:
    run_dir = fakerun.write(tmp_path / "run", trials=6, load=10, length_s=24.0)
    page = text(reports.build(run_dir)["report.html"].read_text())
    assert re.search(r"≥ 0\.3\d s \(96\.9 %\)", page)


def test_lost_events_come_with_replication_age_and_staleness(failed: Path) -> None:
    page = text((failed / "report.html").read_text())
    assert "Replication: semisync , an event is acknowledged once both regions have it" in page
    assert re.search(r"The oldest lost event, t3-probe_write-0 , had been acknowledged (7\.9\d|8\.00) s before", page)
    assert "4 came late to a region" in page


def test_what_a_foreign_service_cannot_show_is_absent_and_not_zero(run_dir: Path) -> None:
    (run_dir / "drill.yaml").write_text(EXTERNAL)
    (run_dir / "readback.parquet").unlink()

    def strip(verdict: dict[str, Any]) -> None:
        for part in (verdict, *verdict["trials"]):
            part["measures"] = {"rto_read_s": part["measures"]["rto_read_s"]}
            part["modelled"] = {}

    page = changed(run_dir, "verdict.json", strip)
    assert "absent is not zero" in page
    assert "the drill has no write" in page
    assert "its timers are not known" in page
    summary = (run_dir / "summary.md").read_text()
    assert "**Absent, not zero**" in summary
    assert 'name="absent.1"' in (run_dir / "junit.xml").read_text()


def test_a_service_of_recdr_s_own_lacks_nothing(passed: Path) -> None:
    assert "cannot show" not in (passed / "report.html").read_text()
