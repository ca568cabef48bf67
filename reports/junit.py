"""``junit.xml``: what CI systems list as tests.

One case an objective, one for "the fault had an observable effect", one for "healed". FAIL is a ``failure``.
UNKNOWN is an ``error``, JUnit's word for a test that could not be carried out; it turns a job red, as recdr's
exit code 3 does.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from reports import cleaning, grounds, phases, wording
from reports.facts import Facts, Measured, Trial


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
    failures = sum(case.outcome == "FAIL" for case in cases)
    errors = sum(case.outcome == "UNKNOWN" for case in cases)
    seconds = sum((trial.clock.end - trial.clock.start) / 1e9 for trial in facts.trials)
    counts: dict[str, str] = {
        "tests": str(len(cases)),
        "failures": str(failures),
        "errors": str(errors),
        "time": f"{seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "recdr", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": facts.title, "skipped": "0", **counts})
    started = facts.meta.get("started_at")
    if isinstance(started, str):
        suite.set("timestamp", started)
    _properties(suite, facts)
    for case in cases:
        _case(suite, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(suite: ET.Element, facts: Facts) -> None:
    properties = ET.SubElement(suite, "properties")
    rows = {
        "run": facts.run,
        "drill": facts.file,
        "outcome": facts.outcome,
        "verdict": wording.sentence(facts),
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
        ET.SubElement(properties, "property", name=name, value=value)


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
    lines = [message, wording.precision(m), wording.margin(m), m.reason]
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


def _case(suite: ET.Element, case: _Case) -> None:
    element = ET.SubElement(suite, "testcase", classname=f"recdr.{case.group}", name=case.name, time="0")
    if case.outcome == "PASS":
        if case.evidence:
            ET.SubElement(element, "system-out").text = case.evidence
        return
    tag, kind = ("failure", "missed") if case.outcome == "FAIL" else ("error", "unknown")
    ET.SubElement(element, tag, message=case.message, type=kind).text = case.evidence or case.message
