"""Suites through the command line, as a user runs them: real services, real drills, what is told of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.home import cache
from tests.baseline.service import Shop, served
from tests.external.services import RECDR, drill_for, running
from tests.processes import commands_with, eventually_empty

TIMEOUT_S = 150


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "RECDR_HOME": str(tmp_path / "home"), "RECDR_CACHE": str(cache()), "NO_COLOR": "1"}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with served(Shop()) as found:
        yield found


def recdr(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECDR, *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def quick(port: int, path: Path, **settings: Any) -> str:
    """A drill of the rigged service at ``port`` that is over as soon as can be."""
    document = drill_for(port, "Honest")
    document["method"][0]["pauses"] = {"after": 1.5}
    document["extensions"][0].update({"settle_s": 1, "tail_s": 1, **settings})
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


def hopeless(path: Path) -> str:
    """A drill whose service cannot be deployed."""
    document = drill_for(9, "Nobody")
    document["extensions"][0]["service"]["hooks"] = {"deploy": {"command": ["sh", "-c", "echo no room; exit 4"]}}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


def suite_in(home: Path) -> dict[str, Any]:
    (folder,) = (home / "suites").iterdir()
    assert {"suite.json", "summary.md", "junit.xml"} == {path.name for path in folder.iterdir()}
    found: dict[str, Any] = json.loads((folder / "suite.json").read_text())
    return {**found, "folder": folder}


@pytest.mark.slow
def test_a_suite_goes_on_after_a_drill_that_could_not_be_and_its_runs_are_whole(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with running("Honest") as port:
        drills = [
            quick(port, tmp_path / "good.yaml"),
            hopeless(tmp_path / "nobody.yaml"),
            quick(port, tmp_path / "bad.yaml", objectives={"rto_read_s": {"max": 0.0001}}),
        ]
        answer = recdr(environment, "drill", "run", *drills, "--json", "--seed", "7")
    assert answer.returncode == 1, answer.stderr
    document = json.loads(answer.stdout)
    saved = suite_in(tmp_path / "home")
    assert document == {name: value for name, value in saved.items() if name != "folder"}
    assert (document["outcome"], document["exit_code"], document["stopped"]) == ("FAIL", 1, None)
    told = {one["drill"]: (one["state"], one["outcome"]) for one in document["drills"]}
    assert told == {
        "good.yaml": ("judged", "PASS"),
        "nobody.yaml": ("failed", "UNKNOWN"),
        "bad.yaml": ("judged", "FAIL"),
    }
    good, nobody, bad = document["drills"]
    assert "no room" in nobody["reasons"][0]
    assert good["figures"]["rpo_events"]["value"] == 0
    assert bad["figures"].keys() >= {"rto_read_s", "p99_ms@after"}
    assert "drill 3 of 3: bad.yaml" in answer.stderr
    assert "baseline recorded earlier, by" in answer.stderr, "the same service, the same conditions"

    run = saved["folder"] / bad["run_dir"]
    elsewhere = shutil.copytree(run, tmp_path / "copy")
    verdict = (elsewhere / "verdict.json").read_text()
    again = recdr(environment, "drill", "judge", str(elsewhere), "--json")
    assert (again.returncode, again.stdout) == (1, verdict)
    summary = (saved["folder"] / "summary.md").read_text()
    assert "| `bad.yaml` | ❌\u00a0FAIL |" in summary
    groups = ET.parse(saved["folder"] / "junit.xml").getroot()
    assert len(groups) == 3
    assert int(groups.get("failures") or 0) == 1


def test_fail_fast_ends_at_the_first_that_is_not_pass(tmp_path: Path, environment: dict[str, str], shop: Shop) -> None:
    drills = [hopeless(tmp_path / "nobody.yaml"), str(shop.drill(tmp_path / "shop.yaml"))]
    answer = recdr(environment, "drill", "run", *drills, "--fail-fast")
    assert answer.returncode == 3, answer.stderr
    found = suite_in(tmp_path / "home")
    assert [one["state"] for one in found["drills"]] == ["failed", "not run"]
    assert found["stopped"] == "--fail-fast: nobody.yaml is UNKNOWN"
    assert "ended early: --fail-fast: nobody.yaml is UNKNOWN" in answer.stderr
    assert "1 UNKNOWN, 1 not run" in answer.stderr


def test_ctrl_c_heals_ends_the_suite_and_sums_up_what_there_is(tmp_path: Path, environment: dict[str, str]) -> None:
    with running("Honest") as port:
        drills = [
            hopeless(tmp_path / "nobody.yaml"),
            quick(port, tmp_path / "a.yaml"),
            quick(port, tmp_path / "b.yaml"),
        ]
        command = [RECDR, "drill", "run", *drills]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = ""
            while "effect seen" not in said:
                said = process.stderr.readline()
                assert said, "recdr ended before the fault was in force"
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(timeout=TIMEOUT_S) == 130, rest
    found = suite_in(tmp_path / "home")
    assert [(one["state"], one["outcome"]) for one in found["drills"]] == [
        ("failed", "UNKNOWN"),
        ("interrupted", "UNKNOWN"),
        ("not run", None),
    ]
    assert found["exit_code"] == 130
    assert "interrupted by SIGINT" in found["stopped"]
    run = found["folder"] / found["drills"][1]["run_dir"]
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["data"]["confirmed"] for event in events if event["kind"] == "heal.confirmed"] == [True]
    assert (run / "verdict.json").exists()
    assert "1 not run" in rest
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5.0) == []


@pytest.mark.usefixtures("namespaces_allowed", "bundle_path")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name a drill, such as failover.yaml, or a --tag"),
        (["failover.yaml", "node-kill.yaml", "--require-baseline"], "no baseline is accepted for node-kill.yaml"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    arguments: list[str], complaint: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    answer = recdr(environment, "drill", "run", *arguments)
    assert answer.returncode == 2, answer.stderr
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "home" / "suites").exists()
    assert not (tmp_path / "home" / "runs").exists()


def tiny(path: Path, node: str) -> str:
    """A short drill of the lab that kills ``node``."""
    document = yaml.safe_load((Path(__file__).resolve().parents[2] / "experiments" / "node-kill.yaml").read_text())
    for step in (*document["method"], *document["rollbacks"]):
        step["provider"]["arguments"] = {"node": node}
        step["pauses"] = {"after": 1}
    document["extensions"][0] |= {
        "topology": {"primary": {"nodes": 2}, "standby": {"nodes": 1}},
        "load": {"rate": 20, "users": 5},
        "probes": {"evaluation_users": 40, "reads_per_s": 30, "writes_per_s": 10},
        "settle_s": 1,
        "tail_s": 1,
        "objectives": {"rpo_events": {"max": 0}},
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


@pytest.mark.lab
@pytest.mark.slow
def test_two_drills_use_one_lab_and_one_baseline(
    namespaces_allowed: None, bundle_path: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    drills = [tiny(tmp_path / "one.yaml", "primary/node-1"), tiny(tmp_path / "two.yaml", "primary/node-2")]
    answer = recdr(environment, "drill", "run", *drills, "--json")
    found = suite_in(tmp_path / "home")
    assert [one["state"] for one in found["drills"]] == ["judged", "judged"], answer.stderr
    (lab,) = found["labs"]
    assert [one["lab"] for one in found["drills"]] == [lab["lab"], lab["lab"]]
    runs = [found["folder"] / one["run_dir"] for one in found["drills"]]
    events = [[json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()] for run in runs]
    deployed = [next(e["data"] for e in here if e["kind"] == "target.deployed") for here in events]
    assert [one["pid_one"] for one in deployed] == [lab["pid_one"], lab["pid_one"]]
    assert [one["earlier_runs"] for one in deployed] == [[], [runs[0].name]]
    baselines = [next(e["data"] for e in here if e["kind"] == "baseline.recorded") for here in events]
    assert [one["new"] for one in baselines] == [True, False]
    assert [one["same_deployment"] for one in baselines] == [True, True]
    assert baselines[0]["lists"] == baselines[1]["lists"], "each run can be judged from itself alone"
    logs = [(run / "logs" / f"primary-node-{number}.log").read_text() for number, run in enumerate(runs, 1)]
    assert all(logs), "each run keeps what its lab said in its time"
    assert not (runs[1] / "logs" / "seed.log").exists(), "and only that"
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5.0) == []
