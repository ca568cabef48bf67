"""``--annotations github`` as a workflow's step has it: what is printed where, and what comes on the job's page."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import reports
from drills import spec
from drills.cli.annotations import Annotator, annotating, place
from drills.errors import SpecError, TargetError
from drills.recording.rundir import RunDir
from tests.command import recdr
from tests.reports import fakerun
from tests.reports.test_github import read


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checked-out repository with a drill, and a page for the job's summary."""
    folder = tmp_path / "work"
    (folder / "experiments").mkdir(parents=True)
    shutil.copy(spec.find("failover.yaml"), folder / "experiments" / "failover.yaml")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def missed(tmp_path: Path, workspace: Path) -> RunDir:
    """A run of that drill which missed an objective."""
    run = fakerun.write(tmp_path / "runs" / "failed", outcome="FAIL")
    meta = json.loads((run / "meta.json").read_text())
    digest = hashlib.sha256((workspace / "experiments" / "failover.yaml").read_bytes()).hexdigest()
    meta["drill"] = {"title": "t", "file": "failover.yaml", "sha256": digest}
    (run / "meta.json").write_text(json.dumps(meta))
    reports.build(run)
    return RunDir(run)


def test_the_line_is_that_of_the_objective_in_the_repositorys_own_file(
    missed: RunDir, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with annotating("github") as annotator:
        annotator.run(missed)
    out, err = capfd.readouterr()
    assert out == "", "stdout is for what programs read"
    commands = [read(line) for line in err.splitlines()[2:]]
    file = workspace / commands[0]["file"]
    assert file.read_text().splitlines()[int(commands[0]["line"]) - 1].strip().startswith("rto_read_s:")
    page = Path(missed.path.parent.parent / "page.md").read_text()
    assert page == (missed.path / "summary.md").read_text() + "\n"


def test_nothing_that_a_drill_prints_is_taken_for_a_command(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BaseException) as ended, annotating("github"):
        raise TargetError("the hook said:\n::error::planted\n##[add-mask]planted")
    assert getattr(ended.value, "exit_code", None) == 3
    lines = capfd.readouterr().err.splitlines()
    begin, token = lines[0].removeprefix("::stop-commands::"), f"::{lines[0].removeprefix('::stop-commands::')}::"
    assert len(begin) == 32
    heard = lines[lines.index(token) + 1 :]
    assert [read(line)["command"] for line in heard] == ["error"]
    assert "planted" in heard[0], "it is told, in a line of ours"
    assert lines.index("::error::planted") < lines.index(token)


def test_a_mistake_in_a_drill_is_shown_at_its_line(workspace: Path, tmp_path: Path) -> None:
    drill = workspace / "experiments" / "failover.yaml"
    drill.write_text(drill.read_text().replace("rto_read_s:", "rto_reed_s:"))
    with pytest.raises(SpecError) as wrong:
        spec.load(drill)
    ended = recdr(tmp_path, "drill", "run", "experiments/failover.yaml", "--annotations", "github")
    assert ended.returncode == 2
    command = read(ended.stderr.splitlines()[-1])
    assert (command["command"], command["file"]) == ("error", "experiments/failover.yaml")
    assert command["line"] == str(wrong.value.line)


def test_nobody_asked_nothing_is_said(missed: RunDir, capfd: pytest.CaptureFixture[str]) -> None:
    with annotating(None) as annotator:
        annotator.run(missed)
    assert capfd.readouterr() == ("", "")
    assert not (missed.path.parent.parent / "page.md").exists()


def test_another_system_is_refused(tmp_path: Path) -> None:
    ended = recdr(tmp_path, "drill", "judge", "--annotations", "gitlab")
    assert ended.returncode == 2
    assert "GitLab and others read junit.xml" in ended.stderr


def test_a_suite_tells_of_each_drill_and_has_one_summary(missed: RunDir, workspace: Path) -> None:
    folder = missed.path.parent / "night"
    folder.mkdir()
    drill = str(workspace / "experiments" / "failover.yaml")
    entries = [
        {"drill": "failover.yaml", "path": drill, "state": "judged", "outcome": "FAIL", "run_dir": "../failed"},
        {"drill": "b.yaml", "path": "b.yaml", "state": "failed", "outcome": "UNKNOWN", "reasons": ["no lab"]},
        {"drill": "c.yaml", "path": "c.yaml", "state": "skipped", "outcome": None, "reasons": ["no GPU"]},
    ]
    (folder / "suite.json").write_text(json.dumps({"suite": "night", "drills": entries}))
    annotator = Annotator(True)
    annotator.suite(folder)
    assert [(one.level, one.file) for one in annotator.found] == [
        ("error", "experiments/failover.yaml"),
        ("warning", ""),
    ]
    assert annotator.summaries == [folder / "summary.md"]


def test_a_page_that_is_full_is_left_as_it_is(missed: RunDir, capfd: pytest.CaptureFixture[str]) -> None:
    page = missed.path.parent.parent / "page.md"
    page.write_bytes(b"x" * (1024 * 1024 - 10))
    with annotating("github") as annotator:
        annotator.run(missed)
    assert page.stat().st_size == 1024 * 1024 - 10
    assert "was not added to the job's page" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["*", "[", "", "..", "a/b.yaml"])
def test_a_name_from_a_record_reaches_nothing_else(workspace: Path, name: str) -> None:
    assert place(name, "0" * 64).file == ""
