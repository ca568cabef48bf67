"""A node whose accelerator's process is lost under load, rolled out anew, or left behind."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from tests.bench_accelerator import KINDS, story
from tests.recsvc.serving.cluster import Cluster, Node, alive, children, eventually
from tests.recsvc.serving.test_rollout import roll_out, with_prior


@pytest.fixture
def lone(cluster: Cluster) -> Node:
    return cluster.node("a/node-1", cluster.store("store"), replication="async", accelerator="simulated")


def shared_memory() -> set[str]:
    """What has a name there; semaphores are other programs'."""
    return {path.name for path in Path("/dev/shm").iterdir() if not path.name.startswith("sem.")}


def test_no_request_fails_whichever_way_the_accelerator_is_lost(lone: Node) -> None:
    losses, answers = asyncio.run(story(lone, [*KINDS, "kill"], 100.0))
    assert {status for _, _, status, _ in answers.rows} == {200}
    assert len(answers.rows) > 400
    assert [loss.kind for loss in losses if loss.degraded_s is None or loss.back_s is None] == []
    state = lone.state()
    assert (state["accelerator_state"], state["accelerator"]) == ("ok", "simulated")
    assert state["accelerator_restarts"] >= 4
    metrics = lone.http.get("/metrics").text
    assert f"recsvc_accelerator_restarts_total {state['accelerator_restarts']}" in metrics


def test_a_driver_that_crashes_at_every_start_degrades_until_it_is_mended(lone: Node) -> None:
    assert lone.admin.post("/accelerator/fail", json={"layer": "process"}).status_code == 200
    eventually(lambda: lone.state()["accelerator_restarts"] >= 2)
    answer = lone.http.post("/v1/recommend", json={"user": "u1"}).json()
    assert (answer["accelerator"], answer["degraded_reason"]) == ("cpu", "accelerator-lost")
    assert "signal 9" in lone.state()["accelerator_reason"]
    assert lone.admin.post("/accelerator/restore").status_code == 200
    eventually(lambda: lone.state()["accelerator_state"] == "ok")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_node_that_ends_leaves_no_process_and_no_shared_memory(lone: Node, number: int) -> None:
    before = shared_memory()
    (process,) = children(lone)
    lone.signal(number)
    assert lone.popen.wait(10) == (0 if number == signal.SIGTERM else -number)
    eventually(lambda: not alive(process))
    assert shared_memory() <= before
    assert "resource_tracker" not in lone.log.read_text()


def test_a_paused_node_comes_back_with_its_accelerator(lone: Node) -> None:
    lone.signal(signal.SIGSTOP)
    assert len(children(lone)) == 1
    lone.signal(signal.SIGCONT)
    answer = lone.http.post("/v1/recommend", json={"user": "u1"}).json()
    assert (answer["accelerator"], lone.state()["accelerator_restarts"]) == ("simulated", 0)


def test_twenty_rollouts_leave_one_process_and_no_descriptors(lone: Node, bundle: Path, tmp_path: Path) -> None:
    other = with_prior(Path(shutil.copytree(bundle, tmp_path / "next")), 3.0)

    def descriptors() -> int:
        return len(list(Path(f"/proc/{lone.popen.pid}/fd").iterdir()))

    for path in (other, bundle):
        assert roll_out(lone, path)["outcome"] == "done"
    eventually(lambda: len(children(lone)) == 1)
    before = descriptors()
    for turn in range(20):
        assert roll_out(lone, (other, bundle)[turn % 2])["outcome"] == "done"
    eventually(lambda: len(children(lone)) == 1)
    eventually(lambda: descriptors() <= before)
    assert lone.http.post("/v1/recommend", json={"user": "u1"}).json()["accelerator"] == "simulated"
