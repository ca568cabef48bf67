"""A run directory whose every string was planted by an enemy: nothing executes, and the page still opens."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reports
from drills.recording import record
from tests.reports import fakerun
from tests.reports.gfm import unexpected

PLANTED = (
    "</script><script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(2)>\"'`--></style>"
    "]]>&amp;{{7*7}}{% raw %}$$\\frac12$$ @x{safe} "
    "\x1b[31mred\x1b]0;title\x07\u202e\u0000\ud800| [a](javascript:alert(3)) @all"
)
SERVICE = """\
  - name: recdr
    target: external
    service: {name: "</script><b>", write: ["<b>"], region: "]]>"}
"""
LONG = PLANTED + "N" * 10_000


def plant(value: Any) -> Any:
    """Every string but the words that decide what is shown, keys of free mappings too, replaced."""
    if isinstance(value, dict):
        return {key: plant(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plant(item) for item in value]
    return (
        LONG if isinstance(value, str) and value not in {"PASS", "FAIL", "UNKNOWN", "s", "ratio", "events"} else value
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = fakerun.write(tmp_path_factory.mktemp("runs") / "hostile", outcome="FAIL", lost=2)
    for name in ("meta.json", "verdict.json", "journal.json"):
        planted = plant(json.loads((run_dir / name).read_text()))
        if name == "verdict.json":
            planted["measures"][LONG] = {
                "value": LONG,
                "unit": LONG,
                "objective": {LONG: 1, "max": LONG, "phase": LONG},
            }
            planted["measures"]["rto_read_s"]["evidence"] = {LONG: {LONG: [LONG, {"x": LONG}]}}
            planted["measures"]["rto_read_s"]["interval"] = [LONG, 1]
            planted["measures"]["rto_read_s"]["over_trials"] = {
                "values": [LONG, 1],
                "interval": [1, LONG],
                "note": LONG,
            }
            parts = {LONG: 0.1, "x": LONG, "</td><script>": 0.2}
            planted["trials"][0]["modelled"] |= {
                "detected": {"bound_s": 0.2, "parts": parts, "dominating": LONG},
                "rerouted": {"bound_s": LONG, "parts": [LONG], "dominating": {LONG: LONG}},
                LONG: LONG,
            }
            evidence = {"by_region": {LONG: 0.5}, "in_the_baseline": {LONG: 0.4}}
            planted["trials"][0]["measures"]["overlap_at_20@during"]["evidence"] = evidence
        else:
            planted[LONG] = {LONG: LONG}
        (run_dir / name).write_text(json.dumps(planted))
    lines = []
    for line in record.lines(run_dir / "events.jsonl"):
        event = json.loads(line)
        event["data"] = plant(event["data"])
        lines.append(json.dumps(event).replace("\\ud800", ""))
    extra = {
        "t": fakerun.ANCHOR + 20 * fakerun.NS,
        "trial": 1,
        "kind": LONG[:300].replace("\ud800", ""),
        "data": {},
    }
    (run_dir / "events.jsonl").write_text("\n".join([*lines, json.dumps(extra), "not json", ""]))
    for name in ("requests.parquet", "readback.parquet"):
        table = pq.read_table(run_dir / name)
        for column in ("region", "node", "id", "error", "model_version"):
            if column in table.column_names and name == "requests.parquet":
                values = [
                    v and (v if v.startswith("q") else LONG.replace("\ud800", "") + v)
                    for v in table[column].to_pylist()
                ]
                table = table.set_column(table.column_names.index(column), column, pa.array(values, type=pa.string()))
        pq.write_table(table, run_dir / name)
    drill = fakerun.DRILL.replace("  - name: recdr\n", SERVICE)
    (run_dir / "drill.yaml").write_text(drill + f"\n# {LONG}".replace("\ud800", "").replace("\x00", ""))
    reports.build(run_dir)
    return run_dir


class Page(HTMLParser):
    """Tags and attributes as a parser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.suspicious: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag in {"img", "iframe", "link", "object", "base", "form"}:
            self.suspicious.append(tag)
        self.suspicious += [name for name, _ in attrs if name.startswith("on") or name in {"src", "srcset"}]


def test_no_markup_of_theirs_is_in_the_page(hostile: Path) -> None:
    html = (hostile / "report.html").read_text()
    page = Page()
    page.feed(html)
    assert page.scripts == [{"type": "application/json", "id": "trial-1-document"}, {}, {}]
    assert page.suspicious == []
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "characters)" in html, "long names are cut and say so"
    assert len(html) < 3_000_000


def test_junit_stays_well_formed(hostile: Path) -> None:
    root = ET.parse(hostile / "junit.xml").getroot()
    assert root.tag == "testsuites"
    assert all("\x1b" not in (value or "") for element in root.iter() for value in element.attrib.values())


def test_the_summary_holds_no_html_link_or_mention(hostile: Path) -> None:
    summary = (hostile / "summary.md").read_text()
    assert unexpected(summary) == []
    assert " @all" not in summary
    assert "\x1b" not in summary
    table = [line for line in summary.splitlines() if line.startswith("| ")]
    columns = {line.replace("\\|", "").count("|") for line in table}
    assert len(columns) == 1, "every row has as many cells as the head"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_executes_and_the_layout_holds(hostile: Path, visit: Any, width: int) -> None:
    opened = visit(hostile / "report.html", width).ready()
    page = opened.page
    page.eval_on_selector_all("details", "all => all.forEach((one) => { one.open = true; })")
    assert opened.errors == []
    assert opened.requests == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".chart.drawn").count() == 5
