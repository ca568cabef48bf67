"""Phases as measured beside what the configuration predicts: on literal verdicts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import reports
from reports import phases, verdicts
from tests.reports import fakerun

BOUND = {"bound_s": 1.5, "parts": {"node_poll_s": 0.1, "sentinel_tick_s": 0.5, "x_s": 0.9}, "dominating": "x_s"}


def compare(measured: dict[str, Any], modelled: dict[str, Any], **measures: Any) -> dict[str, phases.Phase]:
    return {p.name: p for p in phases.compare(measured, modelled, verdicts.measures(measures))}


def test_within_slower_and_not_observed_are_told_apart() -> None:
    found = compare(
        {"detected": 0.3, "promoted": 1.2, "rerouted": None},
        {name: {"bound_s": 0.5, "parts": {}} for name in ("detected", "promoted", "rerouted")},
    )
    assert phases.held_against(found["detected"]) == "within the bound"
    assert phases.held_against(found["promoted"]) == "slower than the configuration predicts, by 0.70 s"
    assert phases.held_against(found["rerouted"]) == "predicted, not observed"
    assert "store promoted (1.20 s, at most 0.50 s)" in phases.sentence(list(found.values()))


def test_what_is_not_predicted_stays_measured() -> None:
    found = compare({"detected": 0.3, "promoted": None}, {})
    assert list(found) == ["detected"]
    assert phases.held_against(found["detected"]) == "nothing is predicted"
    assert phases.sentence(list(found.values())) == ""


def test_a_recovery_that_never_came_is_at_least_so_much_slower() -> None:
    found = compare(
        {"sustained_write": None, "healed": 15.0},
        {"sustained_write": BOUND},
        rto_write_s={"value": 25.0, "censored": True, "unit": "s"},
    )
    assert phases.took(found["sustained_write"]) == "≥ 25.00 s"
    assert found["sustained_write"].slower


def test_what_came_after_healing_is_not_called_a_slow_failover() -> None:
    found = compare({"sustained_read": 16.5, "healed": 15.8}, {"sustained_read": BOUND})
    assert "healed" in phases.held_against(found["sustained_read"])


def test_no_failed_read_is_no_missed_phase() -> None:
    assert compare({"first_good": None}, {"first_good": BOUND}) == {}


def test_the_dominating_timer_is_first_and_named_by_the_verdict() -> None:
    [phase] = compare({"sustained_write": 0.9}, {"sustained_write": BOUND}).values()
    assert [part.timer for part in phase.parts] == ["x_s", "sentinel_tick_s", "node_poll_s"]
    assert sum(part.width for part in phase.parts) == 100.0
    assert phase.mark == 60.0
    assert "what dominates it: x_s, 0.90 s" in phases.sentence([phase])


def test_damaged_bounds_are_no_bounds() -> None:
    found = compare({"detected": 0.3}, {"detected": {"bound_s": "soon", "parts": [1], "dominating": {}}, "promoted": 7})
    assert found["detected"].bound_s is None
    assert found["detected"].parts == ()


def test_all_three_reports_say_it(passed: Path) -> None:
    html, summary = (passed / "report.html").read_text(), (passed / "summary.md").read_text()
    said = "Slower than the configuration predicts: reads back for good (0.40 s, at most 0.38 s)."
    assert said in html
    assert said in summary.replace("\\", "")
    assert "five of Sentinel&#39;s own ticks 0.50&nbsp;s" in html
    properties = {
        p.get("name"): p.get("value") or "" for p in ET.parse(passed / "junit.xml").getroot().iter("property")
    }
    assert properties["trial.1.phase.promoted"].startswith("0.72 s, at most 1.10 s by the configuration")


def test_an_old_run_has_no_bounds_and_still_a_report(run_dir: Path) -> None:
    verdict = json.loads((run_dir / "verdict.json").read_text())
    for trial in verdict["trials"]:
        del trial["modelled"]
    (run_dir / "verdict.json").write_text(json.dumps(verdict))
    html = reports.build(run_dir)["report.html"].read_text()
    assert "nothing is predicted" in html
    assert "Slower than the configuration" not in html
    assert fakerun.MODELLED["detected"]["dominating"] not in html
