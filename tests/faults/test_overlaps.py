"""Faults in force at the same time: each is undone by itself, and healing one takes nothing from another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drills import processes
from drills.errors import UsageError
from drills.faults import FAULTS
from drills.faults.base import Fault, LooksFirst, arguments, wait_for
from drills.healing import heal_open_faults
from drills.targets.local import standing
from drills.targets.local.target import LocalTarget
from drills.undo import UndoLog, unhealed

pytestmark = [pytest.mark.lab, pytest.mark.slow]

EFFECT_S, HEAL_S = 8.0, 30.0


@pytest.fixture(autouse=True)
def unbroken(lab: LocalTarget) -> Iterator[None]:
    yield
    lab.reset()


def injected(lab: LocalTarget, name: str, log: UndoLog | None = None, **given: Any) -> Fault:
    """The fault in force, as its effect shows."""
    fault = FAULTS[name](**given)
    noted = fault.look_first(lab) if isinstance(fault, LooksFirst) else []
    if log:
        log.intend(fault.name, arguments(fault), noted)
    fault.inject(lab)
    assert wait_for(lambda: fault.took_effect(lab), EFFECT_S).observed
    return fault


def is_healed(lab: LocalTarget, fault: Fault) -> bool:
    return wait_for(lambda: fault.healed(lab), HEAL_S).observed


def test_a_node_stays_paused_when_another_fault_on_it_is_healed(lab: LocalTarget) -> None:
    stale = injected(lab, "model_stale", region="standby", count=2)
    pause = injected(lab, "node_pause", node="standby/node-1")
    stale.heal(lab)
    assert pause.took_effect(lab).observed
    pause.heal(lab)
    assert is_healed(lab, pause)
    assert is_healed(lab, stale)


def test_a_killed_store_stays_dead_when_its_disk_has_room_again(lab: LocalTarget) -> None:
    full = injected(lab, "disk_full", region="standby")
    killed = injected(lab, "store_kill", region="standby")
    full.heal(lab)
    assert killed.took_effect(lab).observed
    killed.heal(lab)
    assert is_healed(lab, killed)
    assert is_healed(lab, full)


def test_a_region_whose_power_is_back_runs_whole_also_after_a_kill_in_it(lab: LocalTarget) -> None:
    node = injected(lab, "node_kill", node="standby/node-1")
    region = injected(lab, "region_loss", region="standby")
    region.heal(lab)
    assert is_healed(lab, region)
    node.heal(lab)
    assert lab.status()["broken"] == []


def test_what_one_fault_hides_of_another_is_looked_at_once_both_are_healed(lab: LocalTarget, tmp_path: Path) -> None:
    """A store that starts while replication is stopped has no link to its master until that is healed, too."""
    log = UndoLog(tmp_path)
    injected(lab, "replication_stop", log)
    injected(lab, "store_kill", log, region="standby")
    healed = heal_open_faults(tmp_path, lab)
    assert [(intent.fault, evidence.observed) for intent, evidence in healed] == [
        ("store_kill", True),
        ("replication_stop", True),
    ]
    assert unhealed(tmp_path) == []


def test_an_accelerator_lost_at_two_layers_comes_back_at_both(lab: LocalTarget, tmp_path: Path) -> None:
    """The folder stands for ``/dev/nvidia*``, which a machine without a GPU does not have."""
    node = "standby/node-1"
    lab.fail_accelerator(node, "simulated")
    lab._ask("hide", node=node, paths=[str(tmp_path)])
    lab.restore_accelerator(node)
    assert lab.status()["broken"] == []
    fresh = FAULTS["gpu_loss"](node=node)
    assert is_healed(lab, fresh)


def test_a_lab_that_somebody_else_is_breaking_is_left_alone(lab: LocalTarget) -> None:
    """A plain ``chaos run`` holds a lease and no lock."""
    lab._ask("lease", holder=_somebody(), seconds=20.0)
    try:
        with pytest.raises(UsageError, match="is breaking this lab"):
            standing.unclaimed(lab)
    finally:
        lab._ask("release", holder=None)
    standing.unclaimed(lab)


def _somebody() -> str:
    """A process that is there and is not this one: the one that started the tests."""
    return processes.identity(os.getppid())
