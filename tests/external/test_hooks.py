"""Hooks: what they are run with, how they end, and that a timeout leaves nothing of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drills import hooks
from drills.errors import TargetError, UsageError
from drills.hooks import Place
from drills.spec import Hook
from drills.spec.hooks import DEFAULT_TIMEOUT_S
from tests.external.services import running
from tests.processes import commands_with, eventually_empty


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "drill"
    folder.mkdir()
    return Place(folder, tmp_path / "logs" / "hooks.log")


def command(*words: str, timeout_s: float = 10.0) -> Hook:
    return Hook(tuple(words), None, timeout_s)


def provider(written: dict[str, Any], tolerance: Any = None) -> Hook:
    return Hook(None, written, 30.0, tolerance)


def test_it_runs_in_the_drills_folder_with_recdrs_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    script = place.folder / "up.sh"
    script.write_text('#!/bin/sh\necho "$SHOP_TOKEN" > told\n')
    script.chmod(0o755)
    assert hooks.run("deploy", command("./up.sh"), place).ok
    assert (place.folder / "told").read_text() == "s3cret\n"


def test_what_it_says_is_kept_and_its_last_words_are_told(place: Place) -> None:
    ended = hooks.run("status", command("sh", "-c", "echo fine; echo the disk is full >&2; exit 3"), place)
    assert not ended.ok
    assert ended.text == "status ended with 3: fine the disk is full"
    assert hooks.run("status", command("echo", "again"), place).text == "status ended with 0: again"
    assert "the disk is full" in place.log.read_text()


def test_at_its_timeout_the_whole_group_is_killed(place: Place) -> None:
    mark = f"{4000 + os.getpid() / 1e7:.7f}"
    begin = time.monotonic()
    ended = hooks.run("promote", command("sh", "-c", f"sleep {mark} & sleep {mark}", timeout_s=0.5), place)
    assert time.monotonic() - begin < 5
    assert (ended.ok, ended.answered) == (False, False)
    assert "did not end within 0.5 s" in ended.text
    assert eventually_empty(lambda: commands_with(f"sleep {mark}"), 3.0) == []


def test_what_it_leaves_in_the_background_stays_and_holds_up_nobody(place: Place) -> None:
    begin = time.monotonic()
    assert hooks.run("deploy", command("sh", "-c", "sleep 3 & echo $! > pid"), place).ok
    assert time.monotonic() - begin < 2.5
    os.kill(int((place.folder / "pid").read_text()), 0)


def test_a_program_that_is_not_there_answers_nothing(place: Place) -> None:
    ended = hooks.run("check", command("./no-such-program"), place)
    assert (ended.ok, ended.answered) == (False, False)
    assert "cannot be run" in ended.text


@pytest.mark.parametrize(
    ("script", "answered"),
    [
        ("exit 0", True),
        ("exit 1", True),
        ("exit 2", False),
        ("no-such-tool", False),
        ("kill -9 $$", False),
    ],
)
def test_only_0_and_1_answer_a_question(place: Place, script: str, answered: bool) -> None:
    assert hooks.run("check", command("sh", "-c", script), place).answered == answered


def test_without_a_timeout_a_fault_and_a_hook_get_the_same() -> None:
    assert hooks.of({"command": ["true"]}).timeout_s == 60.0 == DEFAULT_TIMEOUT_S


def test_one_that_must_succeed_says_where_all_it_said_is(place: Place) -> None:
    with pytest.raises(TargetError, match=r"deploy ended with 1: no quota .*hooks\.log"):
        hooks.must("deploy", command("sh", "-c", "echo no quota; exit 1"), place)


PROCESS = {"type": "process", "path": sys.executable}


@pytest.mark.parametrize(
    ("written", "tolerance", "ok", "answered"),
    [
        ({**PROCESS, "arguments": ["-c", "pass"]}, None, True, True),
        ({**PROCESS, "arguments": ["-c", "raise SystemExit(4)"]}, None, False, True),
        ({**PROCESS, "arguments": ["-c", "raise SystemExit(4)"]}, 4, True, True),
        ({"type": "python", "module": "own_module", "func": "answer"}, None, True, True),
        ({"type": "python", "module": "own_module", "func": "no"}, None, False, True),
        ({"type": "python", "module": "own_module", "func": "no"}, False, True, True),
        ({"type": "python", "module": "own_module", "func": "answer"}, 42, True, True),
        ({"type": "python", "module": "no_such_module", "func": "f"}, None, False, False),
        ({"type": "http", "url": "http://127.0.0.1:9/", "timeout": 1}, None, False, False),
    ],
)
def test_a_provider_of_chaos_toolkit(
    place: Place, written: dict[str, Any], tolerance: Any, ok: bool, answered: bool
) -> None:
    (place.folder / "own_module.py").write_text("def answer():\n    return 42\n\ndef no():\n    return False\n")
    ended = hooks.run("check", provider(written, tolerance), place)
    assert (ended.ok, ended.answered) == (ok, answered), ended.text


def test_a_provider_that_asks_over_http(place: Place) -> None:
    with running("Honest") as port:
        told = {"type": "http", "url": f"http://127.0.0.1:{port}/control", "method": "POST", "arguments": {}}
        assert hooks.run("status", provider(told), place).ok
        assert not hooks.run("status", provider(told, 404), place).ok


@pytest.mark.parametrize(
    "written",
    [{}, {"command": []}, {"command": "./kill.sh"}, {"command": ["a"], "provider": {}}, {"comand": ["./kill.sh"]}],
)
def test_an_argument_that_is_no_hook_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        hooks.of(written)


def test_faults_run_theirs_where_the_drill_lies(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECDR_FOLDER", str(place.folder))
    monkeypatch.setenv("RECDR_RUN", str(tmp_path))
    assert hooks.place() == Place(place.folder, tmp_path / "logs" / "hooks.log")
    elsewhere = Place(tmp_path, tmp_path / "log")
    with hooks.at(elsewhere):
        assert hooks.place() == elsewhere
    assert hooks.place().folder == place.folder


def test_what_is_left_of_a_hook_whose_runner_was_killed_is_ended(place: Place) -> None:
    """The process itself dies with its runner; those that it started would go on and break something later."""
    mark = f"{5000 + os.getpid() / 1e7:.7f}"
    script = (
        "from pathlib import Path; from drills import hooks; from drills.spec import Hook;"
        f"hooks.run('inject', Hook(('sh', '-c', 'sleep {mark} & sleep {mark}'), None, 60.0),"
        f" hooks.Place(Path({str(place.folder)!r}), Path({str(place.log)!r})))"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as runner:
        deadline = time.monotonic() + 10
        while len(commands_with(f"sleep {mark}")) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        runner.kill()
    assert commands_with(f"sleep {mark}") != []
    hooks.end_interrupted(place.log)
    assert eventually_empty(lambda: commands_with(f"sleep {mark}"), 3.0) == []
    hooks.end_interrupted(place.log)


def test_on_a_full_disk_it_is_run_all_the_same(place: Place) -> None:
    """What heals must be run though nothing that it says can be kept."""
    full = Place(place.folder, place.log)
    full.log.parent.mkdir(parents=True)
    full.log.symlink_to("/dev/full")
    assert hooks.run("heal", command("touch", "healed"), full).ok
    assert (place.folder / "healed").exists()
