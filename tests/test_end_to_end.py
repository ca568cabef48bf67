"""Whole drills through the command line, as a user runs them: real lab, real load, real verdicts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
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
TWO_EACH = {"primary": {"nodes": 2}, "standby": {"nodes": 2}}


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


def quick(drill: str, path: Path, pauses: Sequence[float] = (5, 4), **changed: Any) -> Path:
    """A copy of a shipped drill that is over sooner: fewer users, shorter pauses; ``changed`` are settings of recdr's.

    All copies with one topology share a baseline.
    """
    document = yaml.safe_load(spec.find(drill).read_text())
    for step, pause in zip(document["method"], pauses, strict=True):
        step["pauses"] = {"after": pause}
    quicker = {"load": {"rate": 40, "users": 20}, "probes": {"evaluation_users": 60}, "settle_s": 2, "tail_s": 3}
    document["extensions"][0] |= quicker | changed
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def told(answer: subprocess.CompletedProcess[str]) -> str:
    return f"exit {answer.returncode}\n{answer.stdout[-4000:]}\n{answer.stderr[-4000:]}"


def test_failover_passes_and_its_record_can_be_judged_again_by_other_objectives(recdr: Recdr, tmp_path: Path) -> None:
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

    drill = yaml.safe_load((copy / "drill.yaml").read_text())
    drill["extensions"][0]["objectives"] = {"rto_write_s": {"max": 0.001}, "recall_at_20": {"min": 0.99}}
    (copy / "drill.yaml").write_text(yaml.safe_dump(drill, sort_keys=False))
    harder = recdr("drill", "judge", str(copy))
    assert harder.returncode == 1, told(harder)
    said = harder.stdout + harder.stderr
    assert "rto_write_s" in said
    assert "at most 0.001" in said
    assert "recall_at_20" in said


@pytest.fixture(scope="module")
def standing(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A lab that stays, for the drills that do not need one of their own."""
    command = [RECDR, "up", "--accelerator", "simulated", "--json"]
    up = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert up.returncode == 0, told(up)
    # It ends the lab once nobody holds the other end of its pipe any more: also when these tests are killed.
    down = f"read _; exec {RECDR} down >{os.devnull} 2>&1"
    with subprocess.Popen(["sh", "-c", down], env=environment, stdin=subprocess.PIPE, start_new_session=True):
        yield json.loads(up.stdout)


def test_a_fault_without_effect_is_unknown(standing: dict[str, Any], recdr: Recdr, tmp_path: Path) -> None:
    answer = recdr("drill", "run", str(quick("noop.yaml", tmp_path / "noop.yaml", (0.5, 0.5), topology=TWO_EACH)))
    assert answer.returncode == 3, told(answer)
    assert "noop" in answer.stderr


def test_killing_a_node_fails_no_read(standing: dict[str, Any], recdr: Recdr, tmp_path: Path) -> None:
    drill = quick("node-kill.yaml", tmp_path / "node-kill.yaml", objectives={"failed_reads": {"max": 0}})
    answer = recdr("drill", "run", str(drill), "--json")
    assert answer.returncode == 0, told(answer)
    assert json.loads(answer.stdout)["measures"]["failed_reads"]["value"] == 0


def test_losing_an_accelerator_degrades_and_comes_back(standing: dict[str, Any], recdr: Recdr, tmp_path: Path) -> None:
    answer = recdr("drill", "run", str(quick("gpu-loss.yaml", tmp_path / "gpu-loss.yaml")), "--json")
    assert answer.returncode == 0, told(answer)


@pytest.mark.parametrize(("replication", "safe"), [("semisync", True), ("async", False)])
def test_a_store_that_is_cut_off_with_its_writers_loses_only_what_async_acknowledged(
    replication: str, safe: bool, standing: dict[str, Any], recdr: Recdr, tmp_path: Path
) -> None:
    objectives = {"rpo_events": {"max": 0}}
    drill = quick("store-isolation.yaml", tmp_path / f"{replication}.yaml", (7, 4), objectives=objectives)
    drill.write_text(drill.read_text().replace("replication: semisync", f"replication: {replication}"))
    answer = recdr("drill", "run", str(drill), "--json", *([] if safe else ["--ephemeral"]))
    lost = json.loads(answer.stdout)["measures"]["rpo_events"]
    assert answer.returncode == (0 if safe else 1), told(answer)
    assert (lost["value"] == 0) is safe
    assert lost["evidence"]["replication"] == replication


def test_partitions_lose_nothing_and_split_no_brain(standing: dict[str, Any], recdr: Recdr, tmp_path: Path) -> None:
    objectives = {"rpo_events": {"max": 0}, "split_brain_events": {"max": 0}, "rto_read_s": {"max": 3}}
    drill = quick("network-partition.yaml", tmp_path / "partition.yaml", (7, 5), objectives=objectives)
    answer = recdr("drill", "run", str(drill), "--json")
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


def lab_of_run(runs: Path) -> str:
    """The PID namespace of the lab that the only drill in ``runs`` deployed for itself."""
    (reference,) = runs.glob("*/lab/target.json")
    return pid_namespace(json.loads(reference.read_text())["deployment"]["about"]["pid_one"])


def test_kill_nine_in_the_middle_of_a_fault_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    drill, runs = quick("failover.yaml", tmp_path / "failover.yaml"), tmp_path / "runs"
    options = ["--ephemeral", "--out", str(runs)]
    with started("effect seen", environment, "drill", "run", str(drill), *options) as process:
        namespace = lab_of_run(runs)
        assert len(commands_in(namespace)) > 5
        process.kill()
        process.wait()
        assert eventually_empty(lambda: commands_in(namespace), 5.0) == []
        # The watchdog sees to it that nothing is left.
        assert eventually_empty(lambda: commands_with(str(tmp_path)), 40.0) == []
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


def test_ctrl_c_heals_and_exits_130(environment: dict[str, str], tmp_path: Path) -> None:
    drill, runs = quick("failover.yaml", tmp_path / "failover.yaml"), tmp_path / "runs"
    options = ["--ephemeral", "--out", str(runs)]
    with started("effect seen", environment, "drill", "run", str(drill), *options) as process:
        namespace = lab_of_run(runs)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "everything that was broken has been healed" in rest
    assert eventually_empty(lambda: commands_in(namespace) + commands_with(str(tmp_path)), 5.0) == []
    (run,) = runs.iterdir()
    assert "interrupted" in (run / "events.jsonl").read_text()
    assert json.loads((run / "verdict.json").read_text())["outcome"] == "UNKNOWN"
    assert (run / "report.html").exists()


def test_a_lab_is_healed_after_kill_nine_without_being_told(
    standing: dict[str, Any], recdr: Recdr, environment: dict[str, str], tmp_path: Path
) -> None:
    drill = quick("failover.yaml", tmp_path / "failover.yaml")
    with started("effect seen", environment, "drill", "run", str(drill)) as process:
        process.kill()
        process.wait()
    assert eventually_empty(lambda: pids_with("drills.watchdog", environment["RECDR_HOME"]), 60.0) == []
    state = json.loads(recdr("status", "--json").stdout)
    assert state["healthy"], state
    assert list(Path(environment["RECDR_HOME"], "open-runs").iterdir()) == []


def test_heal_restores_a_lab_after_kill_nine_of_the_watchdog_too(
    standing: dict[str, Any], recdr: Recdr, environment: dict[str, str], tmp_path: Path
) -> None:
    drill = quick("failover.yaml", tmp_path / "patient.yaml", (90, 4), guard={"lease_s": 90})
    with started("effect seen", environment, "drill", "run", str(drill)) as process:
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
    environment: dict[str, str], tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    if "--port" in arguments and os.geteuid() == 0:
        pytest.skip("root may bind any port")
    own = {**environment, "RECDR_HOME": str(tmp_path)}
    answer = subprocess.run([RECDR, *arguments], env=own, capture_output=True, text=True, timeout=280, check=False)
    assert answer.returncode == 2, told(answer)
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5.0) == []
