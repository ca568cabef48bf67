"""A plan tells what a drill would do, hides what must not be shown, and does nothing at all."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills import spec
from drills.engine import Options
from drills.planning import plan
from drills.planning.hidden import command
from drills.targets.local.doctor import gpu_present
from tests.external.services import RECDR, drill_for
from tests.processes import commands_with


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECDR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def written(folder: Path, document: dict[str, Any]) -> spec.Drill:
    path = folder / "drill.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return spec.load(path)


def test_every_shipped_drill_can_be_planned_and_its_faults_end() -> None:
    for path in spec.shipped():
        drill = spec.load(path)
        found = plan(drill, Options())
        assert found.courses, path
        for course in found.courses:
            assert [fault.fault for fault in course.faults], path
            assert all(fault.in_force_s is not None and fault.blast_radius for fault in course.faults), path
            assert course.method_s is not None
        assert found.expected_s["total"] < found.at_most_s
        json.dumps(found.to_document())


def test_failover_by_the_clock() -> None:
    found = plan(spec.load(spec.find("failover.yaml")), Options(ephemeral=True, trials=3))
    (course,) = found.courses
    (fault,) = course.faults
    assert [(step.name, step.at_s) for step in course.steps] == [("lose-the-primary-region", 0), ("bring-it-back", 15)]
    assert (fault.at_s, fault.in_force_s, fault.healed_by, course.method_s) == (0, 15, "the step bring-it-back", 25)
    assert fault.places == ["primary", "primary/node-1", "primary/node-2", "primary/store"]
    assert fault.fidelity is not None
    assert fault.fidelity["kind"] == "real"
    assert found.method_at_s[0] == 5
    assert found.method_at_s[1] > 5
    assert found.target["lab"] == "own"
    assert (found.trials, found.at_most_s) == (3, 360)
    assert course.rollbacks == ["leave-no-region-down"]
    assert "recorded first" in found.baseline


@pytest.mark.parametrize(("accelerator", "kind"), [("simulated", "simulated"), ("cuda", "real")])
def test_how_real_a_fault_will_be_follows_from_the_accelerator(accelerator: str, kind: str) -> None:
    found = plan(spec.load(spec.find("gpu-loss.yaml")), Options(accelerator=accelerator))
    assert found.courses[0].faults[0].fidelity is not None
    assert found.courses[0].faults[0].fidelity["kind"] == kind
    assert any("shows none" in why for why in found.refused) is (accelerator == "cuda" and not gpu_present())


def test_a_fault_without_heal_is_recdrs_to_heal_and_variants_are_walked_apart(tmp_path: Path) -> None:
    document = yaml.safe_load(spec.find("network-partition.yaml").read_text())
    document["method"][1:] = []
    del document["rollbacks"]
    found = plan(written(tmp_path, document), Options())
    assert [course.variant for course in found.courses] == ["isolated", "split"]
    faults = [course.faults[0] for course in found.courses]
    assert [fault.arguments["b"] for fault in faults] == ["edge,standby", "standby"]
    assert {fault.healed_by for fault in faults} == {"recdr, when the method has ended"}
    assert {fault.in_force_s for fault in faults} == {15}


def secretive(port: int) -> dict[str, Any]:
    """A drill of somebody else's service that is full of secrets."""
    document = drill_for(port, "Shop")
    document["configuration"] = {"key": {"type": "env", "key": "SHOP_KEY"}, "hold": {"type": "env", "key": "HOLD_S"}}
    service = document["extensions"][0]["service"]
    service["read"]["headers"] = {"Authorization": "Bearer literal-secret", "X-Token": "${env:SHOP_TOKEN}"}
    service["hooks"] = {
        "deploy": {"command": ["curl", "--header-token", "literal-secret", "up"]},
        "promote": {"provider": {"type": "http", "url": "http://me:literal-secret@shop/promote?sig=literal-secret"}},
    }
    for step in document["method"]:
        step["provider"]["arguments"]["inject"]["command"] += ["--key=${key}", "${key}"]
    document["method"][0]["pauses"] = {"after": "${hold}"}
    promote = {"type": "python", "module": "drills.faults.hooks", "func": "promote"}
    document["method"].insert(1, {"type": "action", "name": "promote", "provider": promote})
    return document


def test_no_secret_is_shown_and_what_is_not_known_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret-of-the-environment")
    monkeypatch.setenv("SHOP_TOKEN", "t0ken-of-the-environment")
    drill = written(tmp_path, secretive(8123))
    document = json.dumps(plan(drill, Options()).to_document())
    for secret in ("s3cret", "t0ken", "literal-secret"):
        assert secret not in document
    found = plan(drill, Options())
    assert found.target["headers"] == ["Authorization", "X-Token"]
    assert found.target["hooks"] == {
        "deploy": "curl --header-token (not shown) up (at most 60 s)",
        "promote": "http://shop/promote (at most 60 s)",
    }
    assert found.courses[0].faults[0].in_force_s is None, "the pause comes from an unset variable"
    assert [step.does for step in found.courses[0].steps] == ["breaks custom", "hook promote", "heals custom"]


def test_what_follows_a_secrets_name_is_left_out() -> None:
    assert command(["run", "--password", "x1", "--user", "me"]) == "run --password (not shown) --user me"
    assert command(["env", "API_KEY=x1", "run"]) == "env API_KEY=(not shown) run"
    assert command(["curl", "-H", "Authorization: Bearer x1"]) == "curl -H (not shown)"


def test_it_does_nothing_at_all(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "t0ken")
    empty = tmp_path / "empty"
    empty.mkdir()
    document = secretive(8123)
    document["extensions"][0]["service"]["hooks"]["deploy"] = {"command": ["touch", str(tmp_path / "deployed")]}
    drill = written(tmp_path, document)
    before = sorted(tmp_path.rglob("*"))
    environment = {**os.environ, "RECDR_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "100"}
    arguments = ["drill", "plan", str(drill.path), "failover.yaml"]
    answer = subprocess.run(
        [RECDR, *arguments], cwd=empty, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert sorted(tmp_path.rglob("*")) == before, "nothing was written, and no hook was run"
    assert commands_with(str(tmp_path)) == []
    assert "t0ken" not in answer.stdout
    for words in (
        "fault region_loss (region: primary), in force 15 s",
        "[primary, primary/node-1",
        "As a suite: about",
    ):
        assert words in " ".join(answer.stdout.split())


def test_what_cannot_run_is_planned_all_the_same_and_refused(tmp_path: Path) -> None:
    document = drill_for(8123, "Shop")
    document["method"] = [
        {
            "type": "action",
            "name": "cut",
            "provider": {
                "type": "python",
                "module": "drills.faults.partition",
                "func": "inject",
                "arguments": {"a": "primary", "b": "standby"},
            },
        }
    ]
    found = plan(written(tmp_path, document), Options())
    assert "needs a target that is Partitionable" in found.refused[0]
    assert found.courses[0].faults[0].places
