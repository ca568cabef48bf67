"""``junit.xml`` as CI systems read it: valid, the same names every night, nothing in it that XML forbids."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import junitparser
import pytest
import xmlschema

import reports
from reports import junit
from tests.reports import fakerun
from tests.reports.test_hostile import LONG

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))


def parsed(path: Path) -> junitparser.JUnitXml:
    """The document as a CI system's reader has it, once it was found valid."""
    SCHEMA.validate(path)
    return junitparser.JUnitXml.fromfile(str(path))


def results(xml: junitparser.JUnitXml) -> dict[tuple[str, str], str]:
    """(class, case) -> how it ended."""
    kinds = {junitparser.Failure: "failure", junitparser.Error: "error", junitparser.Skipped: "skipped"}
    return {
        (case.classname, case.name): next((kinds[type(one)] for one in case.result), "passed")
        for suite in xml
        for case in suite
    }


def suite_of(folder: Path, **runs: str | None) -> Path:
    """A suite's folder with a run for each drill of that outcome, or none where its target failed."""
    drills = []
    for name, outcome in runs.items():
        entry: dict[str, Any] = {"drill": f"{name}.yaml", "title": name, "state": "failed", "outcome": "UNKNOWN"}
        entry["reasons"] = ["no lab came up"]
        if outcome is not None:
            run = fakerun.write(folder.parent / name, outcome=outcome)
            meta = json.loads((run / "meta.json").read_text())
            meta["drill"] |= {"file": f"{name}.yaml", "title": name}
            (run / "meta.json").write_text(json.dumps(meta))
            reports.build(run)
            entry |= {"state": "judged", "outcome": outcome, "run": name, "run_dir": f"../{name}", "reasons": []}
        drills.append(entry)
    folder.mkdir(parents=True)
    document = {"suite": folder.name, "started_at": "2026-11-22T01:30:00+00:00", "outcome": "FAIL", "drills": drills}
    (folder / "suite.json").write_text(json.dumps(document))
    return folder


def test_a_run_is_a_valid_document_that_names_run_drill_seed_and_host(failed: Path) -> None:
    (suite,) = parsed(failed / "junit.xml")
    said = {one.name: one.value for one in suite.properties()}
    meta = json.loads((failed / "meta.json").read_text())
    assert said["run"] == "20261122-013000-failover"
    assert said["drill"] == "failover.yaml"
    assert said["seed"] == str(meta["seeds"]["run"])
    assert said["host"].endswith(f"{meta['host']['cpus']} CPUs, {meta['host']['memory_gib']} GiB")
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (7, 2, 0, 0)
    assert suite.timestamp == "2026-11-22T01:30:00"


def test_a_failure_says_what_was_measured_the_bound_the_reason_and_each_trial(failed: Path) -> None:
    (suite,) = parsed(failed / "junit.xml")
    (failure,) = next(case for case in suite if case.name == "rpo_events at most 0").result
    assert failure.message.startswith("Acknowledged events lost: 3, at most 0")
    lines = failure.text.splitlines()
    assert lines[0] == "Acknowledged events lost: 3, at most 0"
    assert "3 over" in lines
    assert [line for line in lines if line.startswith("Trial ")] == [f"Trial {n}: 3 FAIL" for n in (1, 2, 3)]


def test_cases_of_a_suite_are_apart_by_their_drill(tmp_path: Path) -> None:
    folder = suite_of(tmp_path / "suites" / "night", failover="FAIL", cascade="PASS", nobody=None)
    reports.build_suite(folder)
    found = results(parsed(folder / "junit.xml"))
    assert found["recdr.failover.objectives", "rpo_events at most 0"] == "passed"
    assert found["recdr.failover.objectives", "rto_read_s at most 0.001 s"] == "failure"
    assert found["recdr.cascade.objectives", "rto_read_s at most 1 s"] == "passed"
    assert found["recdr.nobody.drill", "the drill ran"] == "error"
    assert len(found) == 15, "no case hides behind one of the same name"
    root = ET.parse(folder / "junit.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("15", "1", "1")


def test_a_drill_that_was_skipped_says_why_where_gitlab_looks(tmp_path: Path) -> None:
    folder = suite_of(tmp_path / "suites" / "night", gpu=None)
    document = json.loads((folder / "suite.json").read_text())
    document["drills"][0] |= {"state": "skipped", "outcome": None, "reasons": ["this machine shows no GPU"]}
    (folder / "suite.json").write_text(json.dumps(document))
    reports.build_suite(folder)
    ((case,),) = parsed(folder / "junit.xml")
    (skipped,) = case.result
    assert (skipped.message, skipped.text) == ("this machine shows no GPU", "this machine shows no GPU")


def test_what_somebody_put_into_a_runs_report_stays_out_of_the_suites(tmp_path: Path) -> None:
    folder = suite_of(tmp_path / "suites" / "night", failover="PASS")
    planted = folder.parent / "failover" / "junit.xml"
    root = ET.parse(planted).getroot()
    ET.SubElement(root[0][1], "script").text = "alert(1)"
    ET.SubElement(root[0], "testsuite", name="more", evil="yes")
    root[0].set("evil", "yes")
    root[0].set("time", "many")
    planted.write_bytes(ET.tostring(root))
    reports.build_suite(folder)
    parsed(folder / "junit.xml")
    assert "alert" not in (folder / "junit.xml").read_text()
    assert "evil" not in (folder / "junit.xml").read_text()


def test_characters_that_xml_forbids_never_get_in() -> None:
    every = "".join(map(chr, [*range(0x20), 0x7F, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF]))
    suite = junit.suite_element(f"title {every}", f"{every}.yaml", "no moment", 1.0)
    ET.SubElement(suite, "testcase", classname="c", name=every, time="0").text = every
    junit.count(suite)
    root = ET.fromstring(junit.document("hostile", [suite]).encode())
    assert (root[0][0].text or "").count("\ufffd") == len(every) - len("\t\n\r\x7f")


@pytest.mark.parametrize("name", ["meta.json", "verdict.json"])
def test_a_run_of_hostile_strings_is_a_valid_document(run_dir: Path, name: str) -> None:
    document = (run_dir / name).read_text().replace("failover", json.dumps(LONG)[1:-1])
    (run_dir / name).write_text(document)
    reports.build(run_dir)
    assert len(results(parsed(run_dir / "junit.xml"))) == 7


def test_an_unknown_is_an_error_and_so_red_everywhere(tmp_path: Path) -> None:
    run_dir = fakerun.write(tmp_path / "run", outcome="UNKNOWN")
    reports.build(run_dir)
    found = results(parsed(run_dir / "junit.xml"))
    assert found["recdr.failover.objectives", "rpo_events at most 0"] == "error"
    assert "skipped" not in found.values()
