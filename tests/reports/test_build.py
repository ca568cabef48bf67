"""What a report is made from and into: three files, the same each time, from whatever there is of a run."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import reports

PIECES = ("drill.yaml", "meta.json", "events.jsonl", "requests.parquet", "readback.parquet", "verdict.json")


def test_writes_three_files_into_the_run_directory(run_dir: Path) -> None:
    before = {path.name for path in run_dir.iterdir()}
    built = reports.build(run_dir)
    assert built == {name: run_dir / name for name in ("report.html", "junit.xml", "summary.md")}
    assert {path.name for path in run_dir.iterdir()} == before | set(built), "nothing partial is left"
    assert (run_dir / "report.html").stat().st_size < 2_000_000


def test_is_a_pure_function_of_the_run_directory(run_dir: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(run_dir, tmp_path / "copied" / "run")
    first = {name: path.read_bytes() for name, path in reports.build(run_dir).items()}
    second = {name: path.read_bytes() for name, path in reports.build(elsewhere).items()}
    assert first == second
    assert str(tmp_path) not in first["report.html"].decode()


@pytest.mark.parametrize("missing", PIECES)
def test_a_missing_piece_is_named_and_the_rest_reported(run_dir: Path, missing: str) -> None:
    (run_dir / missing).unlink()
    built = reports.build(run_dir)
    html, summary = built["report.html"].read_text(), built["summary.md"].read_text()
    assert f"{missing} is missing" in html
    assert missing in summary.replace("\\", "")
    assert "Known limits" in html


@pytest.mark.parametrize("damaged", PIECES[1:])
def test_a_damaged_piece_is_named_and_the_rest_reported(run_dir: Path, damaged: str) -> None:
    (run_dir / damaged).write_bytes(b'{"x": [\xff\x00\n')
    html = reports.build(run_dir)["report.html"].read_text()
    assert damaged in html
    assert "cannot be read" in html


def test_an_empty_directory_gives_an_unknown_that_says_why(tmp_path: Path) -> None:
    built = reports.build(tmp_path)
    html = built["report.html"].read_text()
    assert "UNKNOWN" in html
    assert "The run was not judged" in html
    assert "neither events nor requests are there" in html
    suite = ET.parse(built["junit.xml"]).getroot()
    assert suite.get("errors") == suite.get("tests") == "3"
    assert built["summary.md"].read_text().startswith("## ❔ UNKNOWN")


def test_an_interrupted_run_says_so(run_dir: Path) -> None:
    (run_dir / "verdict.json").unlink()
    with (run_dir / "events.jsonl").open("a") as events:
        events.write(
            json.dumps({"t": 7_030_000_000_000, "trial": 1, "kind": "interrupted", "data": {"signal": "SIGINT"}})
        )
        events.write("\n")
    html = reports.build(run_dir)["report.html"].read_text()
    assert "The run was interrupted (SIGINT)." in html


def test_a_read_only_report_is_replaced_whole_or_not_at_all(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = reports.build(run_dir)["report.html"].read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (run_dir / "verdict.json").unlink()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        reports.build(run_dir)
    assert (run_dir / "report.html").read_bytes() == old


def test_the_page_says_what_an_auditor_asks_for(failed: Path) -> None:
    html = (failed / "report.html").read_text()
    for said in (
        "2 of 5 objectives were missed",
        "0.38 to 0.40 s, resolution 0.02 s",
        "recdr drill run failover.yaml --seed 42",
        "no node of primary answers a request sent to it from the edge",
        "the time a real data centre needs to come back",
        "t3-probe_write-0",
        "recbole-wheel",
        "Trials side by side",
    ):
        assert said in html


def test_the_worst_trial_stands_open(failed: Path) -> None:
    html = (failed / "report.html").read_text()
    trials = re.findall(r'class="trial">\s*<details (open)?>', html)
    assert trials == ["", "", "open"]


def test_a_simulated_fault_and_synthetic_data_are_said_loudly(run_dir: Path) -> None:
    meta = json.loads((run_dir / "meta.json").read_text())
    meta["model"] |= {"synthetic": True, "data_source": "synthetic"}
    (run_dir / "meta.json").write_text(json.dumps(meta))
    events = (run_dir / "events.jsonl").read_text()
    (run_dir / "events.jsonl").write_text(events.replace('"kind":"real"', '"kind":"simulated"'))
    built = reports.build(run_dir)
    html, summary = built["report.html"].read_text(), built["summary.md"].read_text()
    assert "Synthetic data." in html
    assert "Simulated fault." in html
    assert "SYNTHETIC" in summary
    assert "SIMULATED" in summary
