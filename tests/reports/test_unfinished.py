"""Whatever there is of a run, its report says what is missing, and nothing that was not seen is shown as 0 or PASS."""

from __future__ import annotations

import html as markup
import json
import random
import re
import shutil
from pathlib import Path

import pytest

import reports
from drills import judging
from drills.recording.record import EventWriter, Request, RequestWriter, lines
from drills.recording.rundir import RunDir
from drills.undo import UndoLog
from tests.command import recdr
from tests.reports import fakerun

PIECES = (
    *("drill.yaml", "meta.json", "events.jsonl", "requests.parquet", "readback.parquet", "verdict.json"),
    "journal.json",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests copy it."""
    return fakerun.write(tmp_path_factory.mktemp("runs") / "whole", load=2, length_s=24)


def text_of(run_dir: Path) -> str:
    """The page as a reader sees it, without scripts, styles and markup."""
    page = reports.build(run_dir)["report.html"].read_text()
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return markup.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("seed", range(24))
def test_any_pieces_missing_or_cut_are_named(whole: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    run_dir = shutil.copytree(whole, tmp_path / "run")
    harmed = rng.sample(PIECES, rng.randint(1, len(PIECES)))
    for name in harmed:
        path = run_dir / name
        size = path.stat().st_size
        if rng.random() < 0.5:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: rng.randint(1, size - 2)])
    said = text_of(run_dir)
    head, told = said.split("Objectives", 1)[0], said.split("What the figures rest on")[0]
    for name in harmed:
        if name == "journal.json" and not re.search(r"Trial 1 [✓✕?]", said):
            continue  # nothing else is left to tell that there was a trial
        if name == "drill.yaml" and "meta.json" in harmed and (run_dir / name).exists():
            continue  # what it was is not known, so neither is that it was cut
        assert name in head, f"{name} is harmed, and the page does not say so at its beginning"
    if "verdict.json" in harmed:
        assert "✓ PASS" not in told
        assert "No objective was judged" in said
    if "readback.parquet" in harmed and "requests.parquet" not in harmed and "0 acknowledged but lost" in said:
        pytest.fail("what was never read back is no zero")
    if "events.jsonl" in harmed and not (run_dir / "events.jsonl").exists():
        assert "No fault was injected" not in said
    if "requests.parquet" in harmed:
        assert "No event was sent" not in said
        assert "0 reads" not in said


@pytest.fixture
def killed(whole: Path, tmp_path: Path) -> Path:
    """A run as ``kill -9`` leaves it in the middle of its fault: clients' files, events, the undo log."""
    run_dir = tmp_path / "runs" / "killed"
    (run_dir / "parts").mkdir(parents=True)
    for name in ("drill.yaml", "meta.json"):
        shutil.copyfile(whole / name, run_dir / name)
    events = [line for line in lines(whole / "events.jsonl") if b"fault.effect" not in line]
    until = next(i for i, line in enumerate(events) if b"fault.healed" in line)
    (run_dir / "events.jsonl").write_bytes(b"".join(events[:until]) + events[until][:20])
    log = UndoLog(run_dir, 1)
    log.path.write_text(
        json.dumps({"do": "inject", "fault": "region_loss", "arguments": {"region": "primary"}, "trial": 1}) + "\n"
    )
    writer = RequestWriter(run_dir / "parts" / "1-prober.part")
    begin = fakerun.ANCHOR + 5 * fakerun.NS
    for i in range(500):
        at = begin + i * fakerun.NS // 50
        writer.write(
            Request(
                **{"trial": 1, "t_scheduled": at, "t_sent": at, "t_done": at + 2_000_000, "stream": "probe_read"},
                **{"op": "recommend", "status": 200 if i < 400 else 503, "region": "primary"},
            )
        )
        if i == 450:
            writer.flush()
    writer.close()
    part = run_dir / "parts" / "1-prober.part"
    part.write_bytes(part.read_bytes()[:-9])
    return run_dir


def test_a_killed_run_is_told_from_what_its_clients_had_written(killed: Path) -> None:
    said = text_of(killed)
    head = said[: said.index("No objective was judged")]
    for expected in (
        "verdict.json is missing: the run was not judged.",
        "readback.parquet is missing: what was lost is not known.",
        "events.jsonl ends in the middle of a line",
        "requests.parquet is missing: the 451 requests shown here are what the clients had written so far",
        "The fault region_loss (region: primary) in trial 1 was in force; nobody looked for its effect yet; its "
        "healing was never seen.",
        "By the undo log this may still be broken: region_loss (region: primary). 'recdr drill heal killed' heals it.",
        "451 requests of 9.0 s were recorded, 51 failures among them.",
    ):
        assert expected in head, expected
    assert "0 reads" not in said
    assert "51 reads and 0 writes failed, of 451 requests" in said
    assert "**What is known**" in (killed / "summary.md").read_text()


def test_building_a_report_of_an_unfinished_run_changes_nothing_else_in_it(killed: Path) -> None:
    before = {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}
    reports.build(killed)
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in killed.iterdir()} - {p.name for p in before} == {
        "report.html",
        "junit.xml",
        "summary.md",
        "parts",
    }


def test_a_clients_file_that_is_no_such_file_is_named_and_the_page_still_built(killed: Path) -> None:
    (killed / "parts" / "1-prober.part").write_bytes(b"\x89RQ1" + bytes(2000))
    said = text_of(killed)
    assert "requests.parquet is missing" in said
    assert "reads and" not in said


def test_judging_a_killed_run_is_unknown(killed: Path) -> None:
    (killed / "drill.yaml").write_text(fakerun.DRILL)
    verdict = judging.judge_run(RunDir(killed))
    assert verdict.outcome.value == "UNKNOWN"


def test_watchdog_and_interruption_are_told(killed: Path) -> None:
    with (killed / "events.jsonl").open("ab") as torn:
        torn.write(b"\n")
    events = EventWriter(killed / "events.jsonl")
    events.write("guard.watchdog", t=fakerun.ANCHOR + 90 * fakerun.NS, process="gone", healed=["region_loss: healed"])
    events.write("interrupted", t=fakerun.ANCHOR + 91 * fakerun.NS, signal="SIGTERM")
    events.close()
    said = text_of(killed)
    assert "The run was interrupted (SIGTERM)." in said
    assert "Its watchdog saw that recdr was killed, and healed: region_loss: healed." in said
    assert "1 line of events.jsonl cannot be read." in said


def test_the_command_finds_a_run_that_ended_before_anything_was_deployed(tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "20261122-000000-failover-0000"
    run_dir.mkdir(parents=True)
    (run_dir / "drill.yaml").write_text(fakerun.DRILL)
    events = EventWriter(run_dir / "events.jsonl")
    events.write("interrupted", signal="SIGINT")
    events.close()
    for name in (run_dir.name[:12], str(run_dir)):
        (run_dir / "report.html").unlink(missing_ok=True)
        assert recdr(tmp_path, "report", "build", name).returncode == 0
        assert "The run was interrupted (SIGINT)." in (run_dir / "report.html").read_text()
        assert "Nothing is on record as deployed." in (run_dir / "report.html").read_text()
