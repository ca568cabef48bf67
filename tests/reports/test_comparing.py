"""Two runs side by side: what differs stands on the page, on the same axes, and nothing is made more of than it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from drills import spec
from reports import comparing
from tests.command import recdr
from tests.reports import fakerun


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two comparable runs, ``a`` and ``b``; tests only add to it."""
    home = tmp_path_factory.mktemp("home")
    for name, trials, outcome in (("a", 2, "PASS"), ("b", 1, "FAIL")):
        path = fakerun.write(home / "runs" / name, trials=trials, outcome=outcome, load=20, length_s=26)
        shutil.copyfile(spec.find("failover.yaml"), path / "drill.yaml")
        meta = json.loads((path / "meta.json").read_text())
        host = {"system": "Linux", "machine": "x86_64", "cpus": 2, "memory_gib": 8.0}
        meta |= {"host": host, "accelerator": "cpu", "seeds": {"run": 42 + trials}, "run": name}
        meta["versions"]["valkey"] = f"9.0.{trials}"
        (path / "meta.json").write_text(json.dumps(meta))
        verdict = json.loads((path / "verdict.json").read_text())
        (path / "verdict.json").write_text(json.dumps(verdict | {"run": name}))
    text = (home / "runs" / "b" / "drill.yaml").read_text()
    (home / "runs" / "b" / "drill.yaml").write_text(text.replace("rto_read_s: {max: 1.0}", "rto_read_s: {max: 0.001}"))
    return home


@pytest.fixture(scope="module")
def compared(two: Path) -> Path:
    ended = recdr(two, "report", "compare", "a", "b")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == str(two / "comparisons" / "a--b.html")
    return two / "comparisons" / "a--b.html"


def test_the_page_shows_both_and_what_differs(compared: Path) -> None:
    page = compared.read_text()
    for said in (
        "It cannot be told whether B is worse than A.",
        "too few trials (2 and 1)",
        "-      rto_read_s: {max: 1.0}",
        "+      rto_read_s: {max: 0.001}",
        "Trial 1 of A above trial 1 of B: of each run the worst trial.",
        "9.0.2",
        "Edge took a server out",
    ):
        assert said in page, said
    assert page.index('aria-label="A: Answers by region') < page.index('aria-label="B: Answers by region')
    assert page.index('aria-label="B: Answers by region') < page.index('aria-label="A: Failed requests')


def test_it_is_the_same_each_time(compared: Path, two: Path) -> None:
    first = compared.read_bytes()
    assert recdr(two, "report", "compare", "a", "b").returncode == 0
    assert compared.read_bytes() == first


def test_other_drills_are_refused_and_told_apart_when_compared_anyway(two: Path, tmp_path: Path) -> None:
    other = shutil.copytree(two / "runs" / "a", tmp_path / "other")
    meta = json.loads((other / "meta.json").read_text())
    meta["drill"] |= {"file": "noop.yaml", "title": "Nothing is broken"}
    (other / "meta.json").write_text(json.dumps(meta))
    refused = recdr(two, "report", "compare", "a", str(other))
    assert refused.returncode == 2
    assert "different drills: failover.yaml and noop.yaml" in refused.stderr
    out = tmp_path / "page.html"
    assert recdr(two, "report", "compare", "a", str(other), "--anyway", "--out", str(out)).returncode == 0
    assert "<b>Compare with care.</b> Different drills: failover.yaml and noop.yaml." in out.read_text()


def test_a_run_without_requests_or_events_is_compared_as_far_as_it_goes(two: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(two / "runs" / "a", tmp_path / "bare")
    for name in ("requests.parquet", "events.jsonl"):
        (bare / name).unlink()
    out = tmp_path / "page.html"
    assert recdr(two, "report", "compare", str(bare), "b", "--out", str(out)).returncode == 0
    page = out.read_text()
    assert "requests.parquet is missing" in page
    assert 'aria-label="A: Answers by region' not in page
    assert 'aria-label="B: Answers by region' in page


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(0.25, "s", "+0.25 s"), (-3.0, "events", "−3"), (0.0, "s", "±0 s"), (-0.0004, "ratio", "−0.0004")],
)
def test_a_difference_has_a_sign_and_is_not_rounded_away(value: float, unit: str, said: str) -> None:
    assert comparing.signed(value, unit) == said


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_opens_from_disk_with_both_on_the_same_axes(compared: Path, visit: Any, width: int, dark: bool) -> None:
    opened = visit(compared, width, dark=dark).ready()
    page = opened.page
    assert (opened.errors, opened.requests) == ([], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".chart").count() == 6
    ranges = "Bokeh.documents[0].roots().map((plot) => [plot.x_range.id, plot.y_range.id, plot.y_range.start])"
    found = page.evaluate(ranges)
    assert len({x for x, _, _ in found}) == 1
    assert [y for _, y, _ in found[::2]] == [y for _, y, _ in found[1::2]], "the same heights mean the same figures"
    assert [start for _, _, start in found[:4]] == [0, 0, 0, 0]
