"""The example of a foreign service, and drills of it that are interrupted, as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.external.rigged import control
from tests.external.services import RECDR, Told, drill_for, free_ports, run_drill, running
from tests.processes import commands_with, eventually_empty, pids_with

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "experiments" / "external"


@pytest.fixture
def shop(tmp_path: Path, environment: dict[str, str]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """A copy of the example's drill and its environment, on ports and in a folder of its own."""
    port = free_ports(3)
    shutil.copy(EXAMPLE / "shop.py", tmp_path)
    text = (EXAMPLE / "external.yaml").read_text()
    for offset in range(3):
        text = text.replace(str(28080 + offset), str(port + offset))
    own = {**environment, "SHOP_PORT": str(port), "SHOP_DIR": str(tmp_path / "shop")}
    yield yaml.safe_load(text), own
    subprocess.run([sys.executable, tmp_path / "shop.py", "down"], env=own, check=False)


@pytest.mark.timeout(180)
def test_the_shop_fails_over_and_is_judged_like_any_service(
    shop: tuple[dict[str, Any], dict[str, str]], tmp_path: Path
) -> None:
    drill, environment = shop
    told: Told = run_drill(drill, tmp_path, environment)
    assert told.outcome == "PASS", told.reasons
    assert told.judged() == dict.fromkeys(drill["extensions"][0]["objectives"], "PASS")
    assert told.measure("rto_write_s")["value"] > 0
    assert told.measure("rpo_events")["evidence"]["acknowledged"] > 200
    assert set(told.measure("overlap_at_20")["evidence"]["by_region"]) == {"primary", "standby"}
    (trial,) = told.verdict["trials"]
    assert 0 < trial["phases"]["promoted"] < trial["phases"]["healed"] < trial["phases"]["failed_back"]
    meta = json.loads((told.run / "meta.json").read_text())
    assert meta["service"]["name"] == "shop"
    assert "topology" not in meta
    assert (told.run / "report.html").exists()
    assert eventually_empty(lambda: commands_with(str(tmp_path / "shop.py")), 3.0) == []


@pytest.mark.timeout(180)
def test_without_the_runbook_writes_stay_away(shop: tuple[dict[str, Any], dict[str, str]], tmp_path: Path) -> None:
    drill, environment = shop
    drill["method"] = [step for step in drill["method"] if step["name"] != "promote-the-standby"]
    drill["method"][0]["pauses"] = {"after": 6}
    drill["extensions"][0] |= {"settle_s": 1, "tail_s": 2}
    told = run_drill(drill, tmp_path, environment)
    assert told.outcome == "FAIL", told.reasons
    assert told.judged()["rto_write_s"] == "FAIL"
    assert told.judged()["rto_read_s"] == told.judged()["rpo_events"] == "PASS"


@contextmanager
def broken(
    port: int, folder: Path, environment: dict[str, str], out: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A drill of the service at ``port`` from the moment its fault is in force; killed at the end if it still runs."""
    path, runs = folder / "drill.yaml", Path(environment["RECDR_HOME"]) / "runs"
    drill = drill_for(port, "Interrupted")
    drill["method"][0]["pauses"] = {"after": 30}
    path.write_text(yaml.safe_dump(drill))
    runs = out or runs
    before = set(runs.iterdir()) if runs.is_dir() else set()
    options = ["--out", str(out)] if out else []
    with subprocess.Popen(
        [RECDR, "drill", "run", str(path), *options], env=environment, stderr=subprocess.PIPE, text=True
    ) as it:
        assert it.stderr is not None
        said = ""
        try:
            while "effect seen" not in said:
                said = it.stderr.readline()
                assert said, "recdr ended before the fault was in force"
            (run,) = set(runs.iterdir()) - before
            yield it, run
        finally:
            it.kill()


@pytest.fixture
def recdr(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([RECDR, *arguments], env=environment, capture_output=True, text=True, check=False)

    return run


def kill_with_its_watchdog(process: subprocess.Popen[str], run: Path) -> None:
    """Leave nobody who could heal the run by itself."""
    process.send_signal(signal.SIGSTOP)  # or it would notice that its watchdog is gone
    for watchdog in pids_with("drills.watchdog", str(run)):
        os.kill(watchdog, signal.SIGKILL)
    process.kill()
    process.wait()


def test_the_service_is_mended_after_kill_nine_without_being_told(
    tmp_path: Path, environment: dict[str, str], recdr: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with running("Honest") as port, broken(port, tmp_path, environment) as (process, run):
        refused = recdr("drill", "run", str(tmp_path / "drill.yaml"))
        assert refused.returncode == 2
        assert "another drill is running" in refused.stderr
        process.kill()
        process.wait()
        assert eventually_empty(lambda: pids_with("drills.watchdog", str(run)), 30.0) == []
        assert control(port, "state") == "there"
        assert recdr("drill", "heal", run.name).returncode == 0


def test_heal_finds_a_run_that_lies_elsewhere(
    tmp_path: Path, environment: dict[str, str], recdr: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    out = tmp_path / "elsewhere"
    with running("Honest") as port, broken(port, tmp_path, environment, out) as (process, run):
        assert "still running" in recdr("drill", "heal", str(run)).stderr
        assert "Nothing to heal is known here" in recdr("drill", "heal").stdout
        kill_with_its_watchdog(process, run)
        assert control(port, "state") == "lost"
        healed = recdr("drill", "heal")
        assert healed.returncode == 0, healed.stderr
        assert "healed: custom (the primary is lost)" in healed.stdout
        assert control(port, "state") == "there"
        assert "Nothing to heal is known here" in recdr("drill", "heal").stdout


def test_ctrl_c_heals_the_service(tmp_path: Path, environment: dict[str, str]) -> None:
    with running("Honest") as port, broken(port, tmp_path, environment) as (process, run):
        process.terminate()
        assert process.wait() == 130
        assert control(port, "state") == "there"
        assert json.loads((run / "verdict.json").read_text())["outcome"] == "UNKNOWN"


def test_ctrl_c_while_recdr_heals_waits_until_that_is_done(tmp_path: Path, environment: dict[str, str]) -> None:
    begun = tmp_path / "begun"
    with running("Honest") as port:
        drill = drill_for(port, "Healing")
        heal = drill["method"][0]["provider"]["arguments"]["heal"]
        slowly = f"touch {begun}; sleep 1; exec {' '.join(heal['command'])}"
        heal["command"] = ["sh", "-c", slowly]
        drill["method"] = [drill["method"][0] | {"pauses": {"after": 0.5}}]
        path = tmp_path / "drill.yaml"
        path.write_text(yaml.safe_dump(drill))
        with subprocess.Popen([RECDR, "drill", "run", str(path)], env=environment, stderr=subprocess.PIPE) as process:
            while not begun.exists():
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
        assert control(port, "state") == "there"


def test_a_service_that_is_not_there_is_no_verdict(
    tmp_path: Path, recdr: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    drill = drill_for(free_ports(3), "Absent")
    drill["extensions"][0]["service"]["hooks"] = {"deploy": {"command": ["false"]}}
    path = tmp_path / "absent.yaml"
    path.write_text(yaml.safe_dump(drill))
    answer = recdr("drill", "run", str(path))
    assert answer.returncode == 3
    assert "the hook deploy ended with 1" in answer.stderr
