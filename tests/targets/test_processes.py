"""What the lab can do to its nodes and stores, beyond what each fault's own suite shows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from drills.errors import TargetError
from drills.faults.base import wait_for
from drills.faults.replication_stop import ReplicationStop
from drills.faults.stores import in_step, role
from drills.targets.base import REGIONS
from drills.targets.local import throttle
from drills.targets.local.target import LocalTarget
from tests.processes import pid_namespace

pytestmark = pytest.mark.lab


def eventually(check: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def ready(lab: LocalTarget, node: str) -> bool:
    return bool((lab.observe(node) or {}).get("ready"))


def throttles(lab: LocalTarget) -> list[int]:
    """The ids of the throttles in this lab, as the host counts processes."""
    namespace, found = pid_namespace(lab.deployment.about["pid_one"]), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            if throttle.__name__.encode() in line and str((entry / "ns" / "pid").readlink()) == namespace:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_node_whose_throttle_dies_is_let_go_and_gets_another(lab: LocalTarget) -> None:
    lab.reset()
    lab.slow_node("primary/node-1", 0.05)
    (first,) = throttles(lab)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: any(pid != first for pid in throttles(lab)))
    assert eventually(lambda: ready(lab, "primary/node-1"))
    lab.unslow_node("primary/node-1")
    assert eventually(lambda: throttles(lab) == [])
    assert ready(lab, "primary/node-1")


def test_a_throttle_follows_its_node_through_a_restart(lab: LocalTarget) -> None:
    lab.reset()
    lab.slow_node("primary/node-1", 0.1)
    (first,) = throttles(lab)
    lab.kill_node("primary/node-1", signal.SIGKILL, restart_after_s=0.2)
    assert eventually(lambda: any(pid != first for pid in throttles(lab)))
    lab.unslow_node("primary/node-1")
    lab.start_node("primary/node-1")
    assert eventually(lambda: ready(lab, "primary/node-1"))


def test_a_supervisor_restarts_a_node_each_time_until_it_is_healed(lab: LocalTarget) -> None:
    lab.reset()
    instances = set()
    lab.kill_node("standby/node-1", signal.SIGKILL, restart_after_s=0.3)
    for _ in range(2):
        assert eventually(lambda: ready(lab, "standby/node-1"))
        instances.add((lab.observe("standby/node-1") or {})["instance"])
        lab.kill_node("standby/node-1", signal.SIGKILL, restart_after_s=0.3)
    assert len(instances) == 2
    lab.start_node("standby/node-1")
    assert eventually(lambda: ready(lab, "standby/node-1"))
    lab.kill_node("standby/node-1", signal.SIGKILL)
    time.sleep(1.0)
    assert not lab.status()["processes"]["standby/node-1"]
    lab.start_node("standby/node-1")


def test_a_node_cannot_be_paused_and_throttled_at_once(lab: LocalTarget) -> None:
    lab.reset()
    lab.pause_node("primary/node-2")
    with pytest.raises(TargetError, match="primary/node-2 is paused already"):
        lab.slow_node("primary/node-2", 0.1)
    lab.resume_node("primary/node-2")
    lab.slow_node("primary/node-2", 0.1)
    with pytest.raises(TargetError, match="primary/node-2 is short of processor time already"):
        lab.pause_node("primary/node-2")
    lab.unslow_node("primary/node-2")


def test_reset_undoes_whatever_was_in_force(lab: LocalTarget) -> None:
    lab.reset()
    lab.pause_node("primary/node-1")
    lab.slow_node("primary/node-2", 0.05)
    lab.kill_node("standby/node-1", signal.SIGKILL)
    lab.stop_replication()
    lab.fill_disk("standby")
    lab.pause_store("primary")
    assert len(lab.status()["broken"]) == 6
    lab.reset()
    assert lab.status()["broken"] == []
    assert throttles(lab) == []
    assert all(ready(lab, node) for region in REGIONS for node in lab.nodes_of(region))
    assert eventually(lambda: in_step(lab).observed), in_step(lab).text
    for region in REGIONS:
        assert (lab.see_store(region).info or {})["aof_last_write_status"] == "ok"


def test_a_store_whose_disk_was_full_can_be_started_from_its_file_again(lab: LocalTarget) -> None:
    """Half a record that found no room leaves a hole in a file that a rewrite opened, as the first round lets one."""
    lab.reset()
    lab.kill_store("standby")  # so that nobody can take over, and with it a whole new file
    try:
        for _ in range(2):
            assert eventually(lambda: stores(lab, "before"))
            lab.fill_disk("primary")
            assert eventually(lambda: refuses_after_writing(lab))
            lab.free_disk("primary")
            assert lab.status()["torn"] == []
        assert eventually(lambda: stores(lab, "after"))
        lab.kill_store("primary")
        lab.start_store("primary")
        assert eventually(lambda: (lab.see_store("primary").info or {}).get("loading") == "0")
    finally:
        lab.reset()


def stores(lab: LocalTarget, number: int | str) -> bool:
    event = {"user": "196", "item": "242", "id": f"{time.monotonic_ns()}-{number}"}
    return httpx.post(f"{lab.deployment.edge_url}/v1/events", json=event, timeout=5).is_success


def refuses_after_writing(lab: LocalTarget) -> bool:
    """Whether the primary's store says that a write failed, of those that are made here."""
    for number in range(20):
        stores(lab, number)
    return (lab.see_store("primary").info or {}).get("aof_last_write_status") == "err"


def test_the_sentinels_see_both_stores_while_their_replication_is_stopped(lab: LocalTarget) -> None:
    lab.reset()
    lab.stop_replication()
    try:
        assert wait_for(lambda: ReplicationStop().took_effect(lab), 10.0).observed
        for a, b in (("primary/store", "standby/store"), ("standby/store", "primary/store"), ("edge", "primary/store")):
            assert lab.reachable(a, b), (a, b)
        assert [role(lab.see_store(region)) for region in REGIONS] == ["master", "slave"]
    finally:
        lab.resume_replication()


def test_cutting_off_a_store_s_host_cuts_off_its_replication(lab: LocalTarget) -> None:
    lab.reset()
    lab.cut("primary/store", "standby/store")
    try:
        assert wait_for(lambda: ReplicationStop().took_effect(lab), 10.0).observed
    finally:
        lab.mend("primary/store", "standby/store")
    assert wait_for(lambda: ReplicationStop().healed(lab), 30.0).observed
