"""``junit.xml``: what CI systems list as tests.

One case an objective, one for "the fault had an observable effect", one for "healed". FAIL is a ``failure``.
UNKNOWN is an ``error``, JUnit's word for a test that could not be carried out: GitLab, Jenkins and the reporters for
GitHub show it apart from a failure and count it as red, as recdr's exit code 3 does. ``skipped`` would be green.

The document keeps to what the schemas of Jenkins' xunit plugin and of Ant have in common, with ``system-out`` in a
case as the only thing that Ant's does not know. A case is called the same in every run of a drill, and its class names
the drill: GitLab tells cases apart by these two, over time and within a file.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reports import cleaning, grounds, phases, wording
from reports.facts import Facts, Measured, Trial

COUNTS = ("tests", "failures", "errors", "skipped")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Case:
    group: str
    name: str
    outcome: str
    message: str
    evidence: str


def render(facts: Facts) -> str:
    """The run as one JUnit test suite."""
    cases = _cases(facts)
    seconds = sum((trial.clock.end - trial.clock.start) / 1e9 for trial in facts.trials)
    suite = suite_element(facts.title, facts.file, facts.meta.get("started_at"), seconds)
    _properties(suite, facts)
    for case in cases:
        _case(suite, case, class_of(facts.file, case.group))
    count(suite)
    return document("recdr", [suite])


def suite_element(title: str, drill: str, started_at: object, seconds: float) -> ET.Element:
    """An empty suite of the drill in the file ``drill``."""
    at = {"timestamp": moment} if (moment := _moment(started_at)) else {}
    # Ant's schema wants a host and says what to write where it is not told; a machine's name stays its own.
    host = {"hostname": "localhost", "time": f"{max(seconds, 0):.3f}"}
    return ET.Element("testsuite", {"name": title, "package": class_of(drill), **at, **host})


def class_of(drill: str, group: str = "") -> str:
    """The class under which CI systems list a drill's cases: ``recdr.failover.objectives``."""
    parts = (re.sub(r"\.(ya?ml|json)$", "", drill), group)
    plain = [re.sub(r"[^\w-]+", "-", part).strip("-") for part in parts]
    return ".".join(filter(None, ["recdr", *plain]))


def count(suite: ET.Element) -> None:
    """Write into the suite how many of its cases there are, and how many ended how."""
    suite.set("tests", str(len(suite.findall("testcase"))))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))


def document(name: str, suites: Iterable[ET.Element]) -> str:
    """The suites as one XML document, without a character that XML forbids."""
    listed = list(suites)
    counts = {key: str(sum(int(suite.get(key, "0")) for suite in listed)) for key in COUNTS[:3]}
    seconds = sum(float(suite.get("time", "0")) for suite in listed)
    root = ET.Element("testsuites", {"name": name, **counts, "time": f"{seconds:.3f}"})
    for number, suite in enumerate(listed):
        suite.set("id", str(number))
        root.append(suite)
    for element in root.iter():
        element.text = element.text and _FORBIDDEN.sub("\ufffd", element.text)
        for key, value in element.attrib.items():
            element.set(key, _FORBIDDEN.sub("\ufffd", value))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _moment(started_at: object) -> str:
    """The moment in UTC and without a zone, which Ant's schema forbids; empty where nobody knows it."""
    try:
        at = datetime.fromisoformat(str(started_at))
    except ValueError:
        return ""
    return (at.astimezone(UTC) if at.tzinfo else at).strftime("%Y-%m-%dT%H:%M:%S")


def _properties(suite: ET.Element, facts: Facts) -> None:
    properties = ET.SubElement(suite, "properties")
    rows = {
        "run": facts.run,
        "drill": facts.file,
        "drill.sha256": facts.drill_sha256,
        "outcome": facts.outcome,
        "verdict": wording.sentence(facts),
        "seed": cleaning.text(cleaning.mapping(facts.meta.get("seeds")).get("run")),
        "host": _host(cleaning.mapping(facts.meta.get("host"))),
        "recdr": cleaning.text(cleaning.mapping(facts.meta.get("versions")).get("recdr")),
    }
    for m in facts.measures:
        rows[f"measure.{m.name}"] = wording.measured(m)
        if raw := wording.raw(m):
            rows[f"measure.{m.name}.raw"] = raw
    for trial in facts.trials:
        for p in trial.phases:
            bound = "" if p.bound_s is None else f", at most {p.bound_s:.2f} s by the configuration ({p.dominating})"
            rows[f"trial.{trial.number}.phase.{p.name}"] = f"{phases.took(p)}{bound}: {phases.held_against(p)}"
    rows |= {f"baseline.{name.lower()}": value for name, value in grounds.baseline(facts)[:4]}
    rows["calibration"] = grounds.calibrated(facts)
    rows |= {f"absent.{number}": f"{what}: {why}" for number, (what, why) in enumerate(grounds.absent(facts), 1)}
    for name, value in rows.items():
        if value:
            ET.SubElement(properties, "property", name=name, value=value)


def _host(host: dict[str, Any]) -> str:
    """What kind of machine it was: ``Linux 6.1 x86_64, 2 CPUs, 23.5 GiB``; empty where nothing was said."""
    system = " ".join(cleaning.text(host.get(key)) for key in ("system", "kernel", "machine") if host.get(key))
    units = {"cpus": "CPUs", "memory_gib": "GiB"}
    rest = [f"{cleaning.text(host[key])} {unit}" for key, unit in units.items() if host.get(key)]
    return ", ".join(filter(None, [system, *rest]))


def _cases(facts: Facts) -> list[_Case]:
    cases = [_objective(facts, m) for m in facts.objectives]
    if not facts.judged:
        why = " ".join([wording.sentence(facts), *facts.missing])
        cases.append(_Case("verdict", "the run was judged", "UNKNOWN", cleaning.text(why), ""))
    elif facts.outcome != "PASS" and all(case.outcome == "PASS" for case in cases):
        why = "\n".join(facts.reasons)
        cases.append(_Case("verdict", "the run could be judged", facts.outcome, wording.sentence(facts), why))
    cases.append(_seen(facts.trials, "fault had an observable effect", "effect"))
    cases.append(_seen(facts.trials, "healed", "healing"))
    return cases


def _objective(facts: Facts, m: Measured) -> _Case:
    message = f"{wording.label(m.name)}: {wording.measured(m)}, {wording.objective(m)}"
    lines = [message, wording.precision(m), wording.margin(m), wording.spread(m), m.reason]
    lines += [f"{key}: {cleaning.text(value)}" for key, value in m.evidence.items()]
    for trial in facts.trials:
        own = trial.measure(m.name)
        if own is not None and len(facts.trials) > 1:
            lines.append(f"{wording.trial_name(trial)}: {wording.measured(own)} {own.outcome}")
    said = f"{message}. {m.reason}" if m.reason else message
    return _Case("objectives", f"{m.name} {wording.bound(m)}", m.outcome, said, "\n".join(filter(None, lines)))


def _seen(trials: list[Trial], name: str, which: str) -> _Case:
    """All trials together: one trial without evidence makes it UNKNOWN; a fault not seen healed is a FAIL."""
    seen = [(trial, *(trial.effect if which == "effect" else trial.healing)) for trial in trials]
    lines = [f"{wording.trial_name(trial)}: {evidence}" for trial, _, evidence in seen]
    held = [held for _, held, _ in seen]
    if held and all(held):
        return _Case("evidence", name, "PASS", "", "\n".join(lines))
    bad = "FAIL" if which == "healing" and False in held else "UNKNOWN"
    what = "no effect of the fault was observed" if which == "effect" else "healing was not seen from outside"
    return _Case("evidence", name, bad, what, "\n".join(lines) or "no trial was recorded")


def _case(suite: ET.Element, case: _Case, classname: str) -> None:
    element = ET.SubElement(suite, "testcase", classname=classname, name=case.name, time="0")
    if case.outcome == "PASS":
        if case.evidence:
            ET.SubElement(element, "system-out").text = case.evidence
        return
    tag, kind = ("failure", "missed") if case.outcome == "FAIL" else ("error", "unknown")
    # GitLab shows the text and not the message, others the message alone: each says all that matters.
    text = case.evidence if case.evidence.startswith(case.message) else f"{case.message}\n{case.evidence}".strip()
    ET.SubElement(element, tag, message=case.message, type=kind).text = text
