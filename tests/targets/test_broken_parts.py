"""What PID 1 does to single nodes: paths hidden from them, models given to them; the lab heals all of it unasked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drills import spec
from drills.errors import HostError, TargetError
from drills.faults.base import wait_for
from drills.faults.looks import ask_node, nodes_ready
from drills.targets.local import doctor
from drills.targets.local.artifacts import flip
from drills.targets.local.target import LocalTarget
from drills.targets.opening import check_abilities

ONE, OTHER = "primary/node-1", "primary/node-2"


def eventually(check: Callable[[], Any], within_s: float = 30.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := check()):
        assert time.monotonic() < deadline, check
        time.sleep(0.05)
    return found


def ended(lab: LocalTarget, node: str) -> dict[str, Any] | None:
    """What became of the last rollout to a node, once it is over."""
    last = (lab.observe(node) or {}).get("last_rollout")
    return last if last and last["outcome"] != "loading" else None


@pytest.mark.lab
def test_what_is_hidden_from_one_node_is_gone_there_only_and_back_after_healing(lab: LocalTarget) -> None:
    lab._ask("hide", node=ONE, paths=[str(lab.bundle / "previous")])
    assert wait_for(lambda: nodes_ready(lab, [ONE]), 30.0).observed
    for node in (ONE, OTHER):
        lab.roll_out_previous(node)
    seen = {node: eventually(lambda node=node: ended(lab, node)) for node in (ONE, OTHER)}
    assert (seen[ONE]["outcome"], seen[OTHER]["outcome"]) == ("refused", "done")
    assert "not a model bundle" in seen[ONE]["reason"]
    lab.reset()
    lab.roll_out_previous(ONE)
    assert eventually(lambda: ended(lab, ONE))["outcome"] == "done"
    lab.reset()


@pytest.mark.lab
def test_the_lab_heals_accelerators_and_models_whoever_broke_them(lab: LocalTarget) -> None:
    lab.fail_accelerator(ONE, "simulated")
    lab.slow_accelerator(OTHER, 200.0)
    lab.roll_out_previous("standby/node-1")
    lab.roll_out_corrupt("standby/node-2", "model.onnx", 16, "restart")
    broken = set(lab.status()["broken"])
    assert broken == {
        f"the accelerator of {ONE}",
        f"the speed of the accelerator of {OTHER}",
        "the model on standby/node-1",
        "the model on standby/node-2",
    }
    lab.reset()
    assert lab.status()["broken"] == []
    good = lab.model_version("current")
    for node in (ONE, OTHER, "standby/node-1", "standby/node-2"):
        answer = eventually(lambda node=node: ask_node(lab, node))
        assert (answer.model, answer.ok) == (good, True)
    eventually(lambda: ask_node(lab, ONE).degraded is False)


@pytest.mark.lab
def test_a_node_that_starts_again_is_given_the_older_model_again(lab: LocalTarget) -> None:
    lab.roll_out_previous(ONE)
    lab.kill_node(ONE, 9)
    lab.start_node(ONE)
    previous = lab.model_version("previous")
    eventually(lambda: (answer := ask_node(lab, ONE)) and answer.model == previous)
    lab.reset()
    assert ask_node(lab, ONE).model == lab.model_version("current")


@pytest.mark.lab
@pytest.mark.skipif(doctor.gpu_present(), reason="there is a GPU to hide")
def test_without_a_gpu_nothing_is_hidden_and_nothing_stays_broken(lab: LocalTarget) -> None:
    with pytest.raises(TargetError, match="no GPU to hide"):
        lab.fail_accelerator(ONE, "hidden")
    assert lab.status()["broken"] == []
    assert nodes_ready(lab, [ONE]).observed


@pytest.mark.parametrize("layer", ["context", "hidden"])
def test_a_layer_that_needs_a_gpu_is_refused_without_one(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = spec.load(spec.find("gpu-loss"))
    (uses,) = drill.injections
    asking = replace(drill, injections=([replace(use, arguments={**use.arguments, "layer": layer}) for use in uses],))
    monkeypatch.setattr(doctor, "gpu_present", lambda: False)
    with pytest.raises(HostError, match=r"gpu-loss.yaml:\d+: the fault gpu_loss cannot .* no /dev/nvidia0"):
        check_abilities(asking)
    monkeypatch.setattr(doctor, "gpu_present", lambda: True)
    check_abilities(asking)


def test_flipped_bytes_are_as_many_as_asked_for_and_spread_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    flip(path, 4)
    assert [i for i, byte in enumerate(path.read_bytes()) if byte] == [125, 375, 625, 875]
    path.write_bytes(b"ab")
    flip(path, 10)
    assert path.read_bytes() == bytes([ord("a") ^ 255, ord("b") ^ 255])
