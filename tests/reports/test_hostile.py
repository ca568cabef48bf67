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
import yaml

import reports
from drills.recording import record
from tests.reports import fakerun
from tests.reports.gfm import unexpected

PLANTED = (
    "</script><script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(2)>\"'`--></style>"
    "]]>&amp;{{7*7}}{% raw %}$$\\frac12$$ @x{safe} "
    "\x1b[31mred\x1b]0;title\x07\u202e\u0000\ud800| [a](javascript:alert(3)) @all"
)
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
    """Two trials, so that there is something to set side by side too."""
    run_dir = fakerun.write(tmp_path_factory.mktemp("runs") / "hostile", trials=2, outcome="FAIL", lost=2)
    for path in run_dir.glob("*.json"):
        planted = plant(json.loads(path.read_text()))
        if path.name == "verdict.json":
            plant_verdict(planted)
        planted[LONG] = {LONG: LONG}
        path.write_text(json.dumps(planted))
    plant_events(run_dir / "events.jsonl")
    for name in ("requests.parquet", "readback.parquet"):
        plant_table(run_dir / name)
    plant_drill(run_dir / "drill.yaml")
    reports.build(run_dir)
    return run_dir


def plant_verdict(planted: dict[str, Any]) -> None:
    planted["measures"][LONG] = {"value": LONG, "unit": LONG, "objective": {LONG: 1, "max": LONG, "phase": LONG}}
    reads = planted["measures"]["rto_read_s"]
    reads["evidence"] = {LONG: {LONG: [LONG, {"x": LONG}]}}
    reads["interval"] = [LONG, 1]
    reads["over_trials"] = {"values": [LONG, 1], "interval": [1, LONG], "note": LONG}
    for trial in planted["trials"]:
        trial["variant"], trial["reasons"] = LONG, [LONG]
        trial["modelled"] |= {
            "detected": {"bound_s": 0.2, "parts": {LONG: 0.1, "x": LONG, "</td><script>": 0.2}, "dominating": LONG},
            "rerouted": {"bound_s": LONG, "parts": [LONG], "dominating": {LONG: LONG}},
            LONG: LONG,
        }
        evidence = {"by_region": {LONG: 0.5}, "by_model": {LONG: 0.5, "x": 0.4}, "in_the_baseline": {LONG: 0.4}}
        trial["measures"]["overlap_at_20@during"]["evidence"] = evidence


def plant_events(path: Path) -> None:
    """Every event's data, and samples of nodes and stores that are named by the enemy but look like any other."""
    events = [json.loads(line) for line in record.lines(path)]
    samples = [event["data"] for event in events if event["kind"] == "nodes.seen"]
    for event in events:
        if event["kind"] != "nodes.seen":
            event["data"] = plant(event["data"])
    for i, data in enumerate(samples):
        known = data["nodes"].values()
        data["nodes"] = {f"{PLANTED}{n}{LONG}": node and {**node, "accelerator": LONG} for n, node in enumerate(known)}
        data["nodes"] |= {f"{n}{LONG}": {"state": LONG} for n in range(30)}
        data["stores"] = {f"{n}{LONG}": store for n, store in enumerate(data["stores"].values())}
        if i % 5 == 0:
            odd = [LONG, [LONG], {LONG: LONG}, {"role": "master", "offset": LONG}, {"role": "slave", "offset": 10**400}]
            data.update({LONG: LONG, "nodes": LONG} if i % 2 else {"stores": dict(enumerate(odd)), "nodes": [LONG]})
    kind = LONG[:300].replace("\ud800", "")
    events.append({"t": fakerun.ANCHOR + 20 * fakerun.NS, "trial": 1, "kind": kind, "data": {}})
    lines = [json.dumps(event).replace("\\ud800", "") for event in events]
    path.write_text("\n".join([*lines, "not json", ""]))


def plant_table(path: Path) -> None:
    """All its strings but those by which rows are told apart; of these the last ones."""
    table = pq.read_table(path)
    planted = LONG.replace("\ud800", "")
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            spare = field.name in {"stream", "op"}
            values = [
                v and (v if v.startswith("q") or (spare and i < len(table) - 50) else planted + v)
                for i, v in enumerate(table[field.name].to_pylist())
            ]
            table = table.set_column(place, field.name, pa.array(values, type=pa.string()))
    pq.write_table(table, path)


def plant_drill(path: Path) -> None:
    document = plant(yaml.safe_load(path.read_text()))
    service = {"name": LONG, "write": [LONG], "region": LONG, LONG: LONG}
    document["extensions"][0] |= {"name": "recdr", "target": "external", "service": service}
    path.write_text(yaml.safe_dump(document).replace("\\uD800", ""), encoding="utf-8", errors="replace")


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
    documents = [{"type": "application/json", "id": f"trial-{n}-document"} for n in (1, 2)]
    assert page.scripts == [*documents, {}, {}]
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
    opened = visit(hostile / "report.html", width).on_paper()
    page = opened.page
    page.eval_on_selector_all("details", "all => all.forEach((one) => { one.open = true; })")
    assert opened.errors == []
    assert opened.requests == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".chart.drawn").count() == 14
    page.evaluate("document.querySelector('.charts').scrollIntoView()")
    hovered = page.locator("figure", has_text="of each node").first.locator(".chart").bounding_box()
    page.mouse.move(hovered["x"] + 200, hovered["y"] + 30, steps=3)
    assert opened.errors == []
