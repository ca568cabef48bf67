"""The steps of the generated workflow, run as the runner of GitHub runs them: bash, one script a step."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.home import cache
from drills.schedule import Wanted, files, plan
from tests.external.services import RECDR, running
from tests.processes import commands_with, eventually_empty
from tests.reports.test_github import read
from tests.suite.test_running import quick

FAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
[ "$1" = doctor ] && exit "${DOCTOR:-0}"
exit 0
"""


def steps(job: dict[str, Any]) -> dict[str, str]:
    """Script by name of the step."""
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


def workflow(names: list[str], **more: Any) -> dict[str, Any]:
    wanted = Wanted(names, more.pop("tags", []), "17 3 * * *", "UTC", "recdr==0.1.0", "0.1.0", "3.12", "recdr", **more)
    job: dict[str, Any] = yaml.safe_load(files("github", plan(wanted))["github.yaml"])["jobs"]["drills"]
    return job


@contextmanager
def started(script: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A step as the runner starts it; what is left of it afterwards is ended."""
    path = folder / "step.sh"
    path.write_text(script)
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)]
    known = {**os.environ, "GITHUB_WORKSPACE": str(folder), **environment}
    known["PATH"] = f"{folder / 'bin'}:{known['PATH']}"
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=folder, env=known, stdout=pipe, stderr=pipe, text=True) as step:
        try:
            yield step
        finally:
            step.terminate()


def ran(script: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """How a step ended and what it said."""
    with started(script, folder, **environment) as step:
        out, err = step.communicate(timeout=120)
        return step.returncode, out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with a ``recdr`` and a ``sudo`` in its path that note what they were asked."""
    (tmp_path / "bin").mkdir()
    for name in ("recdr", "sudo"):
        (tmp_path / "bin" / name).write_text(FAKE)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("restricted", "asked"), [("1", ["-w"]), ("0", []), (None, [])])
def test_namespaces_are_allowed_where_they_are_not(folder: Path, restricted: str | None, asked: list[str]) -> None:
    answer = "exit 1" if restricted is None else f"echo {restricted}"
    (folder / "bin" / "sysctl").write_text(f"#!/bin/sh\n{answer}\n")
    (folder / "bin" / "sysctl").chmod(0o755)
    script = steps(workflow([], tags=["nightly"]))["Allow namespaces"]
    assert ran(script, folder, CALLS=str(folder / "calls"))[0] == 0
    calls = (folder / "calls").read_text().splitlines()
    assert calls[-1] == "doctor"
    assert [call.split()[1] for call in calls[:-1]] == asked
    assert ran(script, folder, CALLS=str(folder / "calls"), DOCTOR="2")[0] == 2, "nothing is broken then"


def test_a_missed_objective_ends_the_step_with_1_and_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "recdr").symlink_to(RECDR)
    page = tmp_path / "page.md"
    with running("Honest") as port, pytest.MonkeyPatch.context() as patch:
        quick(port, tmp_path / "mine.yaml", objectives={"rto_read_s": {"max": 0.0001}})
        patch.chdir(tmp_path)
        script = steps(workflow(["mine.yaml"]))["Run the drills"]
        home = {"RECDR_HOME": str(tmp_path / ".recdr"), "RECDR_CACHE": str(cache())}
        code, out, err = ran(script, tmp_path, GITHUB_STEP_SUMMARY=str(page), **home)
    assert (code, out) == (1, ""), err
    assert page.read_text().startswith("## ❌ FAIL: ")
    told = [read(line) for line in err.splitlines() if line.startswith(("::error", "::warning", "::notice"))]
    assert [one["command"] for one in told] == ["error"]
    line = (tmp_path / "mine.yaml").read_text().splitlines()[int(told[0]["line"]) - 1]
    assert (told[0]["file"], line.strip()) == ("mine.yaml", "rto_read_s:")
    (report,) = (tmp_path / ".recdr" / "runs").glob("*/junit.xml")
    assert "<failure" in report.read_text()


def test_a_step_that_is_cancelled_heals(tmp_path: Path) -> None:
    """The runner tells only the step's first process."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "recdr").symlink_to(RECDR)
    with running("Honest") as port, pytest.MonkeyPatch.context() as patch:
        quick(port, tmp_path / "mine.yaml")
        patch.chdir(tmp_path)
        script = steps(workflow(["mine.yaml"]))["Run the drills"]
        home = {"RECDR_HOME": str(tmp_path / ".recdr"), "RECDR_CACHE": str(cache())}
        with started(script, tmp_path, **home) as step:
            assert step.stderr is not None
            said = ""
            while "effect seen" not in said:
                said = step.stderr.readline()
                assert said, "recdr ended before the fault was in force"
            step.send_signal(signal.SIGINT)
            err = step.communicate(timeout=60)[1]
    assert step.returncode == 130, err
    (events,) = (tmp_path / ".recdr" / "runs").glob("*/events.jsonl")
    assert '"heal.confirmed"' in events.read_text()
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5.0) == []
