"""The page over all runs: what it counts, what it draws, and that a browser shows it without a word of complaint."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

import reports
from drills.history import history
from reports import stamps, trends
from tests.command import recdr

HOST = {"system": "Linux", "machine": "x86_64", "cpus": 2, "memory_gib": 8.0}


def run(runs: Path, number: int, outcome: str = "PASS", value: float | None = 0.3, **given: Any) -> Path:
    """A judged run as recdr leaves it, as far as the page reads it."""
    path = runs / f"20261122-{number:06}-failover-0000"
    path.mkdir(parents=True)
    drill = {"title": "The standby takes over", "file": "failover.yaml", "sha256": given.pop("sha256", "a")}
    meta = {"started_at": f"2026-11-22T03:{number % 60:02}:00+00:00", "drill": drill, "trials": 1}
    meta |= {"host": given.pop("host", HOST), "accelerator": "cpu"}
    entry = {"value": value, "unit": "s", "objective": {"max": 1.0}, "outcome": outcome, "baseline": 0.2, **given}
    (path / "meta.json").write_text(json.dumps(meta))
    (path / "verdict.json").write_text(json.dumps({"outcome": outcome, "measures": {"rto_read_s": entry}}))
    return path


def drill_in(runs: Path) -> trends.DrillRuns:
    (found,) = trends.by_drill([trends.run_of(row, "") for row in history(runs)])
    return found


def built(runs: Path, out: Path | None = None) -> str:
    page = reports.build_index([(runs / row.run, row) for row in history(runs)], out or runs / "index.html")
    return page.read_text()


def test_steadiness_counts_changes_between_answers_and_unknown_apart(tmp_path: Path) -> None:
    for number, outcome in enumerate(("PASS", "FAIL", "UNKNOWN", "FAIL", "PASS", "PASS")):
        run(tmp_path, number, outcome)
    steady = drill_in(tmp_path).steadiness
    assert (steady.passed, steady.failed, steady.unknown, steady.changes) == (3, 2, 1, 2)
    assert steady.share == 3 / 5


def test_steadiness_is_of_the_same_drill_file_on_the_same_kind_of_host(tmp_path: Path) -> None:
    run(tmp_path, 1, "FAIL", sha256="older")
    run(tmp_path, 2, "FAIL", host={**HOST, "cpus": 64})
    run(tmp_path, 3, "PASS")
    run(tmp_path, 4, "PASS", host={**HOST, "memory_gib": 8.3})
    drill = drill_in(tmp_path)
    assert (drill.steadiness.passed, drill.steadiness.failed) == (2, 0)
    assert drill.courses[0].anew == (False, True, True, False)


def test_only_unknown_ones_have_no_share(tmp_path: Path) -> None:
    run(tmp_path, 1, "UNKNOWN", None)
    assert drill_in(tmp_path).steadiness.share is None
    assert "none of the last 1 comparable run answered the question" in built(tmp_path)


def test_a_drawing_puts_what_was_not_observed_below_the_axis_and_breaks_the_line(tmp_path: Path) -> None:
    for number, value in enumerate((0.5, None, 2.0)):
        run(tmp_path, number, "PASS" if value else "UNKNOWN", value, censored=value == 2.0)
    drawn = stamps.stamp(drill_in(tmp_path).courses[0])
    assert [dot.shape for dot in drawn.dots] == ["pass", "unseen", "censored"]
    assert drawn.dots[1].y == stamps.UNSEEN_Y
    assert drawn.path.count("M") == 2, "no line is drawn through what nobody saw"
    assert drawn.dots[0].y > drawn.bounds[0].y > drawn.dots[2].y, "more is higher"
    assert "last ≥ 2 s, from 0.5 s to 2 s, not observed in 1, allowed at most 1 s" in drawn.described
    assert len(drawn.bounds) == len(drawn.baselines) == 1, "the same bound in neighbouring runs is one line"


def test_a_run_in_which_nothing_was_measured_is_no_gap(tmp_path: Path) -> None:
    run(tmp_path, 1)
    stopped = run(tmp_path, 2, "UNKNOWN")
    (stopped / "verdict.json").write_text('{"outcome": "UNKNOWN", "measures": {}}')
    run(tmp_path, 3)
    drawn = stamps.stamp(drill_in(tmp_path).courses[0])
    assert [dot.shape for dot in drawn.dots] == ["pass", "unseen", "pass"]


def test_links_lead_to_the_reports_from_wherever_the_page_lies(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    reports.build(run(runs, 1))
    reports.build(run(runs, 2))
    (runs / "20261122-000002-failover-0000" / "report.html").unlink()
    name = "20261122-000001-failover-0000/report.html"
    assert f'href="{name}"' in built(runs)
    elsewhere = built(runs, tmp_path / "public.html")
    assert f'href="runs/{name}"' in elsewhere
    assert "recdr report build 20261122-000002-failover-0000" in elsewhere
    assert 'href="runs/20261122-000002' not in elsewhere


def test_it_is_the_same_each_time_and_says_nothing_of_where_it_lies(tmp_path: Path) -> None:
    run(tmp_path, 1)
    first = built(tmp_path)
    time.sleep(0.01)
    assert built(tmp_path) == first
    assert str(tmp_path) not in first


def test_what_is_no_run_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    run(tmp_path / "runs", 1)
    (run(tmp_path / "runs", 2) / "verdict.json").write_text('{"outcome": "PA')
    (tmp_path / "runs" / "holiday-photos").mkdir()
    (tmp_path / "runs" / "suites").mkdir()
    page = built(tmp_path / "runs")
    assert "2 directories without a verdict" in page
    assert "holiday-photos" in page
    assert "verdict.json cannot be read (JSONDecodeError)" in page
    assert ">suites<" not in page


def test_hostile_names_and_figures_stay_text(tmp_path: Path) -> None:
    evil = '</script><script>alert(1)</script>"\x1b[31m'
    path = run(tmp_path, 1, value=10**400)
    meta = json.loads((path / "meta.json").read_text())
    meta["drill"] = {"title": evil, "file": evil + "x" * 10_000, "sha256": [evil]}
    meta |= {"started_at": evil, "host": {"cpus": evil, "memory_gib": 10**400}}
    (path / "meta.json").write_text(json.dumps(meta))
    (tmp_path / "javascript:alert(1)").mkdir()
    page = built(tmp_path)
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert 'href="javascript' not in page
    assert len(page) < 100_000


def test_the_command_writes_it_for_a_folder_or_a_suite(tmp_path: Path) -> None:
    assert "is no folder of runs" in recdr(tmp_path, "report", "index").stderr
    run(tmp_path / "runs", 1)
    run(tmp_path / "runs", 2)
    written = recdr(tmp_path, "report", "index")
    assert (written.returncode, written.stdout.strip()) == (0, str(tmp_path / "runs" / "index.html"))
    suite = tmp_path / "suites" / "nightly"
    suite.mkdir(parents=True)
    drills = [{"run_dir": "../../runs/20261122-000002-failover-0000"}, {"run_dir": None}]
    (suite / "suite.json").write_text(json.dumps({"suite": "nightly-1", "drills": drills}))
    assert recdr(tmp_path, "report", "index", str(suite)).returncode == 0
    page = (suite / "index.html").read_text()
    assert "<h1>Suite nightly-1</h1>" in page
    assert "<b>1 judged run</b>" in page
    (suite / "suite.json").write_text("[]")
    assert recdr(tmp_path, "report", "index", str(suite)).returncode == 2


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(8):
        path = run(tmp_path, number, "FAIL" if number == 5 else "PASS", 0.3 + 0.2 * number)
        (path / "report.html").write_text("a report")
    other = run(tmp_path, 9, "UNKNOWN", None)
    meta = json.loads((other / "meta.json").read_text())
    meta["drill"] |= {"file": "noop.yaml", "title": "Nothing is broken"}
    (other / "meta.json").write_text(json.dumps(meta))
    built(tmp_path)
    return tmp_path / "index.html"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_opens_from_disk_without_error_or_request(many: Path, visit: Any, width: int, dark: bool) -> None:
    opened = visit(many, width, dark=dark)
    page = opened.page
    assert (opened.errors, opened.requests) == ([], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)"
    )
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("figure.stamp").count() == 2


@pytest.mark.browser
def test_filters_sorts_and_tells_each_run_by_mouse_and_by_keyboard(many: Path, visit: Any) -> None:
    page = visit(many).page
    rows = page.locator("#runs-table tbody tr:visible")
    page.locator("#verdict").select_option("FAIL")
    assert rows.count() == 1
    assert page.locator("#shown").inner_text() == "1 of 9 runs"
    page.locator("#verdict").select_option("")
    page.locator("#drill").select_option("noop.yaml")
    assert rows.count() == 1
    assert page.locator("section.drill:visible").count() == 1
    page.locator("#drill").select_option("")
    first = "document.querySelector('#runs-table tbody tr').dataset.verdict"
    page.locator("#runs-table").get_by_role("button", name="Verdict").click()
    assert page.evaluate(first) == "FAIL"
    chart = page.locator("figure.stamp").first
    said = chart.locator(".readout")
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg").bounding_box()
    page.mouse.move(box["x"] + 12, box["y"] + 40)
    assert re.match(r"2026-11-22 03:00:00 UTC: 0\.3 s, PASS", said.inner_text())
    page.mouse.move(0, 0)
    chart.locator("a").last.focus()
    page.keyboard.press("ArrowLeft")
    assert "03:06:00" in said.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/20261122-000006-failover-0000/report.html")
