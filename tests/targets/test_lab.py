"""The local target itself: it serves, it fails over, and nothing of it outlives its PID 1."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from drills.spec import Topology
from drills.targets.base import NODE_HEADER, REGION_HEADER
from drills.targets.local import timers
from drills.targets.local.target import LocalTarget
from tests.processes import commands_in, commands_with, eventually_empty, pid_namespace

pytestmark = pytest.mark.lab


def test_edge_prefers_the_primary_and_ops_reaches_every_node(lab: LocalTarget) -> None:
    lab.reset()
    answer = httpx.post(f"{lab.deployment.edge_url}/v1/recommend", json={"user": "196", "k": 5})
    assert answer.status_code == 200
    assert answer.headers["X-Recsvc-Region"] == "primary"
    assert len(answer.json()["items"]) == 5
    for node in (*lab.nodes_of("primary"), *lab.nodes_of("standby")):
        direct = httpx.get(f"{lab.deployment.ops_url}/v1/model", headers={NODE_HEADER: node})
        assert direct.headers["X-Recsvc-Node"] == node
    standby = httpx.get(f"{lab.deployment.ops_url}/v1/model", headers={REGION_HEADER: "standby"})
    assert standby.headers["X-Recsvc-Region"] == "standby"


def test_a_lost_region_is_replaced_and_reset_gives_the_primary_its_role_back(lab: LocalTarget) -> None:
    lab.reset()
    begin = time.monotonic_ns()
    lab.lose_region("primary")
    try:
        deadline = time.monotonic() + 15
        event = {"id": f"lab-test-{begin}", "user": "196", "item": "242"}
        while (answer := httpx.post(f"{lab.deployment.edge_url}/v1/events", json=event)).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        assert answer.headers["X-Recsvc-Region"] == "standby"
        seen = {event.kind for event in lab.sightings(begin)}
        assert {"edge.server", "store.promoted", "process.ended"} <= seen
    finally:
        lab.reset()
    states = {node: lab.observe(node) for node in lab.nodes_of("primary")}
    assert all(state and state["ready"] and state["store_role"] == "master" for state in states.values())


def test_a_lab_states_the_timers_that_its_nodes_go_by(lab: LocalTarget) -> None:
    lab.reset()
    stated = lab.deployment.about["timers"]
    assert stated == timers.stated((lab.observe(lab.nodes_of("standby")[0]) or {})["timers"])
    assert {"check_inter_s", "witness_down_after_s", "node_poll_s", "period_s"} <= stated.keys()


@pytest.mark.slow
def test_nothing_outlives_pid_one(namespaces_allowed: None, bundle_path: Path, tmp_path: Path) -> None:
    target = LocalTarget(tmp_path / "doomed", bundle_path, ephemeral=False)
    deployment = target.deploy(Topology())
    pid_one = deployment.about["pid_one"]
    namespace = pid_namespace(pid_one)
    assert {"valkey-server", "haproxy"} <= set(commands_in(namespace))
    os.kill(pid_one, signal.SIGKILL)
    assert eventually_empty(lambda: commands_in(namespace), 5.0) == []
    assert list((tmp_path / "doomed" / "run").iterdir()) == []
    assert "doomed" not in Path("/proc/self/mounts").read_text()
    assert not target.alive()
    with pytest.raises(httpx.TransportError):
        httpx.get(deployment.edge_url)
    target.teardown()


@pytest.mark.slow
def test_an_ephemeral_lab_dies_with_its_owner(namespaces_allowed: None, bundle_path: Path, tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from drills.spec import Topology
from drills.targets.local import timers
from drills.targets.local.target import LocalTarget
LocalTarget(Path({str(tmp_path / "owned")!r}), Path({str(bundle_path)!r})).deploy(Topology())
print("up", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        owner.kill()
    assert eventually_empty(lambda: commands_with("owned/"), 5.0) == []
