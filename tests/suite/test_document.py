"""What came of a suite, as its document, its exit code, its table and its summary say it."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import reports
from drills.cli.suite import print_suite
from drills.suite import Entry, Suite

FIGURES: dict[str, dict[str, Any]] = {
    "rto_read_s": {"value": 0.3, "unit": "s", "censored": False},
    "rto_write_s": {"value": 12.5, "unit": "s", "censored": True},
    "rpo_events": {"value": 0, "unit": "events", "censored": False},
    "recall_at_20": {"value": 0.6879, "unit": "ratio", "censored": False},
    "p99_ms@after": {"value": None, "unit": "ms", "censored": False},
}


def entry(name: str, outcome: str | None, **more: Any) -> Entry:
    state = "not run" if outcome is None else "judged"
    found = Entry(name, f"title of {name}", f"/drills/{name}", state, outcome)
    for key, value in more.items():
        setattr(found, key, value)
    return found


def suite_of(folder: Path, *outcomes: str | None, exit_code: int | None = None) -> Suite:
    entries = [entry(f"drill-{number}.yaml", outcome) for number, outcome in enumerate(outcomes)]
    return Suite(folder, "recdr drill run", entries, exit_code=exit_code)


@pytest.mark.parametrize(
    ("outcomes", "outcome", "code"),
    [
        (["PASS", "PASS"], "PASS", 0),
        (["PASS", None], "PASS", 0),
        (["PASS", "UNKNOWN"], "UNKNOWN", 3),
        (["UNKNOWN", "FAIL", "PASS"], "FAIL", 1),
        ([None, None], "UNKNOWN", 3),
    ],
)
def test_the_worst_drill_decides(outcomes: list[str | None], outcome: str, code: int, tmp_path: Path) -> None:
    found = suite_of(tmp_path, *outcomes)
    assert (found.outcome, found.code) == (outcome, code)
    assert suite_of(tmp_path, *outcomes, exit_code=130).code == 130


def whole(tmp_path: Path) -> Suite:
    entries = [
        entry("a-drill-with-a-long-name.yaml", "PASS", figures=FIGURES, seconds=61.6, run="RUN", run_dir="../run"),
        entry("fails.yaml", "FAIL", reasons=["[b]too slow[/b] | `x`", "and more"], figures=FIGURES, run="RUN-2"),
        entry("skipped.yaml", None, state="skipped", reasons=["no GPU here"]),
    ]
    folder = tmp_path / "suite"
    folder.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "junit.xml").write_text(
        '<testsuites><testsuite name="a" tests="3" failures="1" errors="0" skipped="0" time="2.5">'
        '<testcase name="one"><failure message="late"/></testcase></testsuite></testsuites>'
    )
    return Suite(folder, "recdr drill run", entries, seconds=130.0)


def test_the_table_fits_eighty_columns_and_tells_all_without_colour(tmp_path: Path) -> None:
    out = io.StringIO()
    print_suite(whole(tmp_path), Console(file=out, width=80, force_terminal=False))
    said = out.getvalue()
    table = said[: said.index("FAIL  fails.yaml:")].splitlines()
    assert max(map(len, table)) <= 80
    assert "\x1b" not in said
    assert any(line.startswith("a-drill-with-a-long-name.yaml ") for line in table), "no name is broken in two"
    for figure in ("0.3 s", "≥ 12.5 s", "0.688", " ? ", "62 s"):
        assert figure in said
    assert "FAIL  fails.yaml: [b]too slow[/b] | `x` (and 1 more: RUN-2)" in said
    assert "skipped  skipped.yaml: no GPU here" in said
    assert "FAIL  1 PASS, 1 FAIL, 1 skipped; 2.2 minutes, 0 labs" in said


def test_summary_and_junit_are_made_from_what_lies_on_the_disk(tmp_path: Path) -> None:
    made = whole(tmp_path)
    made.save()
    paths = reports.build_suite(made.folder)
    summary = paths["summary.md"].read_text()
    row = "| `a-drill-with-a-long-name.yaml` | ✅ PASS | 0.3 s | ≥ 12.5 s | 0 | 0.688 | not observed | 62 s |"
    assert row in summary.replace("\N{NO-BREAK SPACE}", " ")
    assert "\\[b]too slow\\[/b] \\| \\`x\\` (and 1 more: run `RUN-2`)" in summary
    root = ET.parse(paths["junit.xml"]).getroot()
    # Counted anew: whoever had the run's folder may have changed what its own report says.
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    assert [case.get("name") for case in root.iter("testcase")] == ["one", "the drill ran", "the drill ran"]
    before = summary
    assert reports.build_suite(made.folder)["summary.md"].read_text() == before


def test_a_suite_that_somebody_damaged_is_still_summed_up(tmp_path: Path) -> None:
    document = {"drills": [{"drill": None, "figures": {"rpo_events": {"value": "x"}}}, 7], "labs": "?", "outcome": 3}
    (tmp_path / "suite.json").write_text(json.dumps(document))
    assert "UNKNOWN" in reports.build_suite(tmp_path)["summary.md"].read_text()
    (tmp_path / "suite.json").write_text("[]")
    with pytest.raises(ValueError, match="is no suite"):
        reports.build_suite(tmp_path)
