"""The post-mortem that people write: begun from the record, never overwritten, shown whatever else it holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import reports
from drills.errors import SpecError
from reports import draft, postmortem, reading
from tests.reports import fakerun

FILLED = """\
status: in review
authors: [Ada Example, Grace]
date: 2026-11-23
impact: |
  Nobody outside. <script>alert(1)</script>
  A second paragraph.
contributing_factors:
  - 'The timer was long: "very".'
went_well: Detection.
actions:
  - what: Shorten the timer
    owner: Ada
    due: 2026-12-01
    status: in progress
    link: https://example.org/issues/7
  - what: Ask the others
    link: javascript:alert(1)
notes:
"""


def write(run_dir: Path, text: str) -> Path:
    path = run_dir / postmortem.NAME
    path.write_text(text)
    return path


def page(run_dir: Path) -> str:
    return reports.build(run_dir)["report.html"].read_text()


def test_without_a_file_the_page_says_how_to_begin_one(run_dir: Path) -> None:
    html = page(run_dir)
    assert "recdr report postmortem 20261122-013000-failover --edit" in html
    assert not (run_dir / postmortem.NAME).exists()


def test_what_people_wrote_is_shown_and_stays_when_the_report_is_built_again(run_dir: Path) -> None:
    path = write(run_dir, FILLED)
    assert page(run_dir) == page(run_dir)
    html = page(run_dir)
    assert path.read_text() == FILLED
    for said in ("in review", "Ada Example, Grace", "2026-11-23", "A second paragraph.", "2026-12-01", "in progress"):
        assert said in html


def test_text_is_escaped_and_only_web_links_are_links(run_dir: Path) -> None:
    write(run_dir, FILLED)
    html = page(run_dir)
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert 'href="https://example.org/issues/7"' in html
    assert 'href="javascript' not in html
    assert "javascript:alert(1)" in html


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "//example.org", "https://", "http://[", "https://a b", "x"]
)
def test_what_is_no_web_link_is_text(link: str) -> None:
    assert postmortem.Action("x", link=link).href == ""


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("impct: x", 1, "impct", "Did you mean 'impact'?"),
        ("actions:\n- what: x\n  ownr: Ada", 3, "actions[0].ownr", "Did you mean 'owner'?"),
        ("actions:\n- what: x\n  due: 1.12.2026", 3, "actions[0].due", "Write year-month-day: 2026-12-01."),
        ("actions:\n- what: x\n  due: 7", 3, "actions[0].due", "a day is expected here"),
        ("actions:\n- owner: Ada", 2, "actions[0]", "does not say what is to be done"),
        ("actions:\n- what: x\n  status: finished", 3, "actions[0].status", "is not one of the choices"),
        ("status: fnal", 1, "status", "Did you mean 'final'?"),
        ("date: 2026-13-45", 1, "date", "2026-13-45"),
        ("impact: x\nimpact: y", 2, "impact", "written twice"),
        ("authors: {a: b}", 1, "authors", "a list is expected"),
        ("went_well:\n- The timer: short", 2, "went_well[0]", "Put it in quotes."),
        ("impact: [", 1, None, "not valid YAML"),
        ("- a list", 1, None, "a post-mortem is a mapping"),
    ],
)
def test_a_mistake_is_named_with_line_and_key(tmp_path: Path, text: str, line: int, key: str | None, said: str) -> None:
    with pytest.raises(SpecError) as raised:
        postmortem.read(write(tmp_path, text))
    assert (raised.value.line, raised.value.key) == (line, key)
    assert said in str(raised.value)


def test_a_file_that_cannot_be_read_costs_nothing_but_itself(run_dir: Path) -> None:
    path = write(run_dir, "impct: x")
    html = page(run_dir)
    assert "postmortem.yaml cannot be read." in html
    assert "postmortem.yaml, line 1: impct: this key is not known here. Did you mean &#39;impact&#39;?" in html
    assert str(run_dir) not in html
    assert "All 5 objectives were met" in html
    assert path.read_text() == "impct: x"


@pytest.mark.parametrize("kind", ["folder", "nowhere", "binary", "empty"])
def test_what_is_no_text_file_is_a_problem_and_no_crash(run_dir: Path, kind: str) -> None:
    path = run_dir / postmortem.NAME
    if kind == "folder":
        path.mkdir()
    elif kind == "nowhere":
        path.symlink_to(run_dir / "not-there")
    else:
        path.write_bytes(b"\xff\xfe\x00" if kind == "binary" else b"")
    assert postmortem.load(run_dir).problem.startswith("postmortem.yaml")
    assert "postmortem.yaml cannot be read." in page(run_dir)


@pytest.mark.parametrize("outcome", ["PASS", "FAIL", "UNKNOWN"])
def test_a_draft_is_valid_and_holds_what_the_record_says(tmp_path: Path, outcome: str) -> None:
    run_dir = fakerun.write(tmp_path / "run", outcome=outcome, lost=3 if outcome == "FAIL" else 0)
    text = draft.draft(reading.read(run_dir))
    written = postmortem.read(write(run_dir, text))
    assert written.status == "draft"
    assert list(yaml.safe_load(text)) == list(postmortem.KEYS)
    assert written.impact[0].startswith("On purpose, the whole primary region was lost")
    assert bool(written.contributing_factors) == (outcome != "PASS")


def test_a_draft_of_a_run_that_left_nothing_is_an_empty_frame(tmp_path: Path) -> None:
    written = postmortem.read(write(tmp_path, draft.draft(reading.read(tmp_path))))
    assert written == postmortem.Postmortem()


@pytest.mark.parametrize(
    "text", ["a: b", "- x", "# x", "'x", "x #y", "{x}", "yes", "12", "2026-12-01", '"q"', "x: [", " x"]
)
def test_any_action_reads_back_as_it_was_said(tmp_path: Path, text: str) -> None:
    line = f"actions:\n- what: {draft._scalar(text)}\n"
    assert postmortem.read(write(tmp_path, line)).actions[0].what == text.strip()


def test_it_survives_a_copy_to_another_place(run_dir: Path, tmp_path: Path) -> None:
    write(run_dir, FILLED)
    other = shutil.copytree(run_dir, tmp_path / "elsewhere" / "run")
    assert page(run_dir) == page(other)
