"""A suite's ``suite.json`` turned into ``summary.md`` and ``junit.xml``: a table of its drills, and all their cases.

Like everything here a pure function of what lies on the disk: the suite's folder and the runs that it names.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports import cleaning, junit, markdown, plain, wording

COLUMNS = {
    "rto_read_s": "Reads disturbed",
    "rto_write_s": "Writes disturbed",
    "rpo_events": "Events lost",
    "recall_at_20": "Recall@20",
    "p99_ms@after": "p99 after",
}
_NEVER_RAN = ("skipped", "not run")


def render_summary(suite: Mapping[str, Any]) -> str:
    """The suite as GitHub-flavoured Markdown: the outcome, one row a drill, and why each that is not PASS is not."""
    outcome = cleaning.outcome(suite.get("outcome"))
    drills = [cleaning.mapping(entry) for entry in cleaning.sequence(suite.get("drills"))]
    counts = cleaning.mapping(suite.get("counts"))
    said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    lines = [f"## {markdown.ICONS[outcome]} {outcome or 'not known'}: {len(drills)} drills ({_text(said)})", ""]
    lines += _table(drills)
    why = [line for entry in drills for line in _why(entry)]
    lines += ["**Why not PASS**", "", *why, ""] if why else []
    if stopped := suite.get("stopped"):
        lines += [f"> ⚠️ It ended early: {_text(stopped)}", ""]
    for line in _labs(suite):
        lines += [f"> ⚠️ {line}", ""]
    lines.append(_foot(suite))
    return plain.fit(lines)


def _table(drills: list[dict[str, Any]]) -> list[str]:
    head = ["Drill", "Outcome", *COLUMNS.values(), "Took"]
    rows = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(COLUMNS) + 1)]
    for entry in drills:
        figures = cleaning.mapping(entry.get("figures"))
        seconds = cleaning.number(entry.get("seconds"))
        cells = [
            _code(entry.get("drill")),
            markdown.marked(cleaning.outcome(entry["outcome"])) if entry.get("outcome") else _text(entry.get("state")),
            *(figure(cleaning.mapping(figures.get(name))).replace(" ", "\u00a0") for name in COLUMNS),
            "" if seconds is None else f"{seconds:.0f}\u00a0s",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return [*rows, ""]


def figure(entry: Mapping[str, Any]) -> str:
    """A figure as reports show it; empty where the drill has none of that name."""
    if not entry:
        return ""
    unit = entry.get("unit")
    shown = wording.figure(cleaning.number(entry.get("value")), unit if isinstance(unit, str) else "")
    return f"≥ {shown}" if entry.get("censored") is True else shown


def _why(entry: Mapping[str, Any]) -> list[str]:
    """The first reason, and how many more the run's own report has."""
    reasons = cleaning.sequence(entry.get("reasons"))
    if entry.get("outcome") == "PASS" or not reasons:
        return []
    rest = f" (and {len(reasons) - 1} more: run {_code(entry.get('run'))})" if len(reasons) > 1 else ""
    return [f"- {_code(entry.get('drill'))}: {_text(reasons[0])}{rest}"]


def _labs(suite: Mapping[str, Any]) -> list[str]:
    labs = [cleaning.mapping(lab) for lab in cleaning.sequence(suite.get("labs"))]
    return [
        f"Lab {_text(lab.get('lab'))} could not be brought back and was given up: {_text(lab['gave_up'])}"
        for lab in labs
        if lab.get("gave_up")
    ]


def _foot(suite: Mapping[str, Any]) -> str:
    host = cleaning.mapping(suite.get("host"))
    labs, seconds = cleaning.sequence(suite.get("labs")), cleaning.number(suite.get("seconds"))
    parts = [
        f"suite {_code(suite.get('suite'))}",
        "" if seconds is None else f"{seconds / 60:.1f} minutes in all",
        f"{len(labs)} {'lab' if len(labs) == 1 else 'labs'} deployed or used",
        f"{_text(host.get('cpus'))} CPUs, {_text(host.get('memory_gib'))} GiB" if host else "",
        "figures are those of each drill's worst trial; p99 is that of the time after healing",
    ]
    return " · ".join(part for part in parts if part) + "."


def render_junit(suite: Mapping[str, Any], folder: Path) -> str:
    """The cases of all runs as one document; a drill without a report of its own is a case by itself."""
    suites: list[ET.Element] = []
    for entry in (cleaning.mapping(entry) for entry in cleaning.sequence(suite.get("drills"))):
        suites += _suites_of(entry, folder) or [_alone(entry, suite.get("started_at"))]
    return junit.document(f"recdr {cleaning.text(suite.get('suite'))}", suites)


_ATTRIBUTES = {
    "property": ("name", "value"),
    "testcase": ("classname", "name", "time"),
    "failure": ("message", "type"),
    "error": ("message", "type"),
    "skipped": ("message",),
}
_INSIDE = {
    "testsuite": ("properties", "testcase"),
    "properties": ("property",),
    "testcase": ("failure", "error", "skipped", "system-out"),
}


def _suites_of(entry: Mapping[str, Any], folder: Path) -> list[ET.Element]:
    """What the run's own report says: of it only what belongs there, for whoever had the folder may have changed it."""
    run_dir = entry.get("run_dir")
    if not isinstance(run_dir, str):
        return []
    try:
        found = ET.parse(folder / run_dir / "junit.xml").getroot().findall("testsuite")  # noqa: S314 - see above
    except (OSError, ValueError, ET.ParseError):
        return []
    return [_copied(one, cleaning.text(entry.get("drill"))) for one in found]


def _copied(found: ET.Element, drill: str) -> ET.Element:
    at, seconds = found.get("timestamp"), _seconds(found.get("time"))
    suite = junit.suite_element(cleaning.text(found.get("name")), drill, at, seconds)
    suite.extend(_kept(found))
    for case in suite.iter("testcase"):
        case.set("time", f"{_seconds(case.get('time')):.3f}")
        group = (case.get("classname") or "").rpartition(".")[2]
        case.set("classname", junit.class_of(drill, group))
    junit.count(suite)
    return suite


def _kept(found: ET.Element) -> list[ET.Element]:
    """Copies of what lies in the element and belongs there."""
    copies = []
    for child in found:
        if child.tag not in _INSIDE.get(found.tag, ()):
            continue
        copy = ET.Element(child.tag, {key: child.get(key, "") for key in _ATTRIBUTES.get(child.tag, ())})
        copy.text = None if child.tag in _INSIDE else child.text
        copy.extend(_kept(child))
        copies.append(copy)
    return copies


def _seconds(said: str | None) -> float:
    try:
        seconds = cleaning.number(float(said or 0))
    except ValueError:
        return 0.0
    return max(seconds or 0.0, 0.0)


def _alone(entry: Mapping[str, Any], started_at: object) -> ET.Element:
    """A drill that left no report: skipped or not reached, or its target failed before anything was recorded."""
    why = " ".join(map(cleaning.text, cleaning.sequence(entry.get("reasons")))) or "the suite ended before its turn"
    drill = cleaning.text(entry.get("drill"))
    suite = junit.suite_element(cleaning.text(entry.get("title")), drill, started_at, 0)
    case = ET.SubElement(suite, "testcase", classname=junit.class_of(drill, "drill"), name="the drill ran", time="0")
    if entry.get("state") in _NEVER_RAN:
        ET.SubElement(case, "skipped", message=why).text = why
    else:
        ET.SubElement(case, "error", message=why, type="unknown").text = why
    junit.count(suite)
    return suite


def read(folder: Path) -> dict[str, Any]:
    """The suite in ``folder``; raises ValueError for a folder without one, ``OSError`` where it cannot be read."""
    found = json.loads((folder / "suite.json").read_bytes())
    if not isinstance(found, dict):
        raise ValueError(f"{folder / 'suite.json'} is no suite")
    return found


def _text(value: Any) -> str:
    return plain.escape(cleaning.text(value))


def _code(value: Any) -> str:
    return plain.code(cleaning.text(value))
