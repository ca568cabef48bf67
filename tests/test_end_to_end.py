"""Whole drills through the command line, as a user runs them: real lab, real load, real verdicts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills import spec
from drills.home import cache
from tests.processes import commands_in, commands_with, eventually_empty, pid_namespace, pids_with

pytestmark = [pytest.mark.lab, pytest.mark.slow]

RECDR = str(Path(sys.executable).with_name("recdr"))
Recdr = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(
    namespaces_allowed: None, bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """A home of its own for all drills of this module, so that they share one baseline; the model is cached."""
    home = tmp_path_factory.mktemp("home")
    return {**os.environ, "RECDR_HOME": str(home), "RECDR_CACHE": str(cache()), "NO_COLOR": "1"}


@pytest.fixture
def recdr(environment: dict[str, str]) -> Recdr:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [RECDR, *arguments], env=environment, capture_output=True, text=True, timeout=280, check=False
        )

    return run


def changed(drill: str, path: Path, **objectives: dict[str, float]) -> Path:
    """A copy of a shipped drill with other objectives."""
    document = yaml.safe_load(spec.find(drill).read_text())
    document["extensions"][0]["objectives"] = objectives
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def told(answer: subprocess.CompletedProcess[str]) -> str:
    return f"exit {answer.returncode}\n{answer.stdout[-4000:]}\n{answer.stderr[-4000:]}"


def test_failover_passes_and_judging_a_copy_gives_the_same_document(recdr: Recdr, tmp_path: Path) -> None:
    answer = recdr("drill", "run", "failover.yaml", "--json", "--seed", "11", "--out", str(tmp_path / "runs"))
    assert answer.returncode == 0, told(answer)
    document: dict[str, Any] = json.loads(answer.stdout)
    measures = document["measures"]
    assert document["outcome"] == "PASS"
    assert measures["rto_read_s"]["value"] <= 1.0
    assert measures["rto_write_s"]["value"] <= 3.0
    assert measures["rpo_events"]["value"] == 0
    assert measures["recall_at_20"]["baseline"] > 0

    (run,) = (tmp_path / "runs").iterdir()
    assert {"verdict.json", "report.html", "junit.xml", "summary.md", "requests.parquet"} <= {
        p.name for p in run.iterdir()
    }
    assert (run / "report.html").stat().st_size < 6_000_000
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(run, copy)
    (copy / "verdict.json").unlink()
    again = recdr("drill", "judge", str(copy), "--json")
    assert again.returncode == 0, told(again)
    assert again.stdout == answer.stdout == (copy / "verdict.json").read_text()


def test_an_objective_that_cannot_be_met_fails_and_says_why(recdr: Recdr, tmp_path: Path) -> None:
    drill = changed("failover.yaml", tmp_path / "hard.yaml", rto_write_s={"max": 0.001}, recall_at_20={"min": 0.99})
    answer = recdr("drill", "run", str(drill))
    assert answer.returncode == 1, told(answer)
    assert "rto_write_s" in answer.stderr
    assert "at most 0.001" in answer.stderr
    assert "recall_at_20" in answer.stderr


def test_a_fault_without_effect_is_unknown(recdr: Recdr) -> None:
    answer = recdr("drill", "run", "noop.yaml")
    assert answer.returncode == 3, told(answer)
    assert "noop" in answer.stderr


def test_killing_a_node_fails_no_read(recdr: Recdr) -> None:
    answer = recdr("drill", "run", "node-kill.yaml", "--json")
    assert answer.returncode == 0, told(answer)
    assert json.loads(answer.stdout)["measures"]["failed_reads"]["value"] == 0


def test_losing_an_accelerator_degrades_and_comes_back(recdr: Recdr) -> None:
    answer = recdr("drill", "run", "gpu-loss.yaml", "--json")
    assert answer.returncode == 0, told(answer)


@pytest.mark.parametrize(("replication", "safe"), [("semisync", True), ("async", False)])
def test_a_store_that_is_cut_off_with_its_writers_loses_only_what_async_acknowledged(
    replication: str, safe: bool, recdr: Recdr, tmp_path: Path
) -> None:
    drill = changed("store-isolation.yaml", tmp_path / f"{replication}.yaml", rpo_events={"max": 0})
    drill.write_text(drill.read_text().replace("replication: semisync", f"replication: {replication}"))
    answer = recdr("drill", "run", str(drill), "--json")
    lost = json.loads(answer.stdout)["measures"]["rpo_events"]
    assert answer.returncode == (0 if safe else 1), told(answer)
    assert (lost["value"] == 0) is safe
    assert lost["evidence"]["replication"] == replication


def test_partitions_lose_nothing_and_split_no_brain(recdr: Recdr) -> None:
    answer = recdr("drill", "run", "network-partition.yaml", "--json")
    assert answer.returncode == 0, told(answer)
    document = json.loads(answer.stdout)
    assert {trial["variant"] for trial in document["trials"]} == {"isolated", "split"}
    assert document["measures"]["split_brain_events"]["value"] == 0


@contextmanager
def started(words: str, environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """recdr, running, from the moment it has said ``words``; killed at the end if it still runs."""
    command = [RECDR, *arguments]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        while words not in said:
            said = process.stderr.readline()
            assert said, f"recdr ended before it said '{words}'"
        try:
            yield process
        finally:
            process.kill()


def lab_of_latest_run(home: str) -> str:
    """The PID namespace of the lab that the latest drill deployed for itself."""
    reference = max(Path(home).glob("runs/*/lab/target.json"))
    return pid_namespace(json.loads(reference.read_text())["deployment"]["about"]["pid_one"])


def test_kill_nine_in_the_middle_of_a_fault_leaves_nothing(environment: dict[str, str]) -> None:
    home = environment["RECDR_HOME"]
    with started("effect seen", environment, "drill", "run", "failover.yaml", "--ephemeral") as process:
        namespace = lab_of_latest_run(home)
        assert len(commands_in(namespace)) > 5
        process.kill()
        process.wait()
        assert eventually_empty(lambda: commands_in(namespace), 5.0) == []
        assert eventually_empty(lambda: commands_with(home), 40.0) == []  # the watchdog sees to it that nothing is left
    assert home not in Path("/proc/self/mounts").read_text()


def test_ctrl_c_heals_and_exits_130(environment: dict[str, str]) -> None:
    home = environment["RECDR_HOME"]
    with started("effect seen", environment, "drill", "run", "failover.yaml", "--ephemeral") as process:
        namespace = lab_of_latest_run(home)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "everything that was broken has been healed" in rest
    assert eventually_empty(lambda: commands_in(namespace) + commands_with(home), 5.0) == []
    (run,) = (path for path in Path(home, "runs").iterdir() if "interrupted" in (path / "events.jsonl").read_text())
    assert json.loads((run / "verdict.json").read_text())["outcome"] == "UNKNOWN"
    assert (run / "report.html").exists()


@pytest.fixture
def standing(recdr: Recdr) -> Iterator[dict[str, Any]]:
    up = recdr("up", "--json")
    assert up.returncode == 0, told(up)
    yield json.loads(up.stdout)
    recdr("down")


def test_a_lab_is_healed_after_kill_nine_without_being_told(
    standing: dict[str, Any], recdr: Recdr, environment: dict[str, str]
) -> None:
    with started("effect seen", environment, "drill", "run", "failover.yaml") as process:
        process.kill()
        process.wait()
    assert eventually_empty(lambda: pids_with("drills.watchdog", environment["RECDR_HOME"]), 60.0) == []
    state = json.loads(recdr("status", "--json").stdout)
    assert state["healthy"], state
    assert list(Path(environment["RECDR_HOME"], "open-runs").iterdir()) == []


def test_heal_restores_a_lab_after_kill_nine_of_the_watchdog_too(
    standing: dict[str, Any], recdr: Recdr, environment: dict[str, str], tmp_path: Path
) -> None:
    drill = yaml.safe_load(spec.find("failover.yaml").read_text())
    drill["extensions"][0]["guard"] = {"lease_s": 90}
    drill["method"][0]["pauses"] = {"after": 90}
    (tmp_path / "patient.yaml").write_text(yaml.safe_dump(drill, sort_keys=False))
    with started("effect seen", environment, "drill", "run", str(tmp_path / "patient.yaml")) as process:
        refused = recdr("drill", "run", "node-kill.yaml")
        assert refused.returncode == 2, told(refused)
        assert f"another drill is running on this lab (process {process.pid}, since " in refused.stderr
        process.send_signal(signal.SIGSTOP)  # or it would notice that its watchdog is gone
        for watchdog in pids_with("drills.watchdog", environment["RECDR_HOME"]):
            os.kill(watchdog, signal.SIGKILL)
        process.kill()
        process.wait()
    broken = json.loads(recdr("status", "--json").stdout)
    assert broken["lost"] == ["primary"]
    assert not broken["healthy"]

    healed = recdr("drill", "heal")
    assert healed.returncode == 0, told(healed)
    assert "healed: region_loss" in healed.stdout
    state = json.loads(recdr("status", "--json").stdout)
    assert state["healthy"], state
    assert all(node["store_role"] == "master" for name, node in state["nodes"].items() if name.startswith("primary/"))
    down = recdr("down")
    assert down.returncode == 0, told(down)
    assert eventually_empty(lambda: commands_with(environment["RECDR_HOME"]), 5.0) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["drill", "run", "no-such-drill.yaml"], "no drill of that name"),
        (["drill", "run", "failover.yaml", "--accelerator", "tpu"], "choose auto, cuda, cpu or simulated"),
        (["drill", "run", "failover.yaml", "--port", "1"], "port 1 on 127.0.0.1 cannot be used"),
        (["drill", "run", "failover.yaml", "--out", "/proc/nowhere"], "choose another folder with --out"),
        (["drill", "judge", "no-such-run"], "no run no-such-run"),
        (["up", "--replication", "psychic"], "choose async, semisync or sync"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(
    recdr: Recdr, environment: dict[str, str], arguments: list[str], complaint: str
) -> None:
    if "--port" in arguments and os.geteuid() == 0:
        pytest.skip("root may bind any port")
    answer = recdr(*arguments)
    assert answer.returncode == 2, told(answer)
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr
    assert eventually_empty(lambda: commands_with(environment["RECDR_HOME"]), 5.0) == []
