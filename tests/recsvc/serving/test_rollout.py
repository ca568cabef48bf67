"""Another model is rolled out to a node that serves: a good one, damaged ones, and one for another catalogue."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from recsvc import bundle as bundles
from recsvc.accelerator import Boundary
from recsvc.api import Api
from recsvc.bundle import Bundle
from recsvc.inference import Job
from recsvc.metrics import Metrics
from recsvc.parts import Identity, Parts
from recsvc.release import Opening
from recsvc.rollout import Rollout
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Cluster, Node, eventually

Change = Callable[[Path], None]


def resealed(folder: Path) -> Path:
    """Write the manifest anew, so that whatever was changed counts as published like that."""
    manifest = json.loads((folder / bundles.MANIFEST).read_text())
    digests = {name: bundles.file_sha256(folder / name) for name in bundles.PAYLOAD}
    manifest |= {"version": bundles.content_version(digests)}
    manifest["files"] = {name: {"sha256": digest} for name, digest in digests.items()}
    (folder / bundles.MANIFEST).write_text(json.dumps(manifest))
    return folder


def with_prior(folder: Path, value: float) -> Path:
    """Another model over the same catalogue."""
    model = onnx.load(folder / bundles.MODEL)
    (prior,) = (tensor for tensor in model.graph.initializer if tensor.name == "prior")
    prior.CopyFrom(numpy_helper.from_array(np.full(tiny_bundle.DIMENSIONS, value, np.float32), "prior"))
    onnx.save(model, folder / bundles.MODEL)
    return resealed(folder)


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "next"))


def roll_out(node: Node, path: Path) -> dict[str, Any]:
    """Load ``path`` and return what became of it."""
    answer = node.admin.post("/model/load", json={"path": str(path)})
    assert answer.status_code == 202, answer.text

    def ended() -> dict[str, Any] | None:
        last: dict[str, Any] = node.http.get("/readyz").json()["last_rollout"]
        return last if (last["artifact"], last["outcome"] != "loading") == (path.name, True) else None

    found: dict[str, Any] = eventually(ended)
    return found


def lists(node: Node, *, explain: bool = False) -> list[str]:
    answer = node.http.post("/v1/recommend", json={"user": "u1", "k": 10, "explain": explain})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert answer.headers["x-recsvc-model"] == body["model_version"]
    return [body["model_version"], *body["items"]]


def test_a_good_model_takes_over_without_failing_a_request(node: Node, bundle: Path, copy: Path) -> None:
    old, new = lists(node), Bundle.load(with_prior(copy, 3.0)).version
    seen: list[list[str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.append(lists(node, explain=len(seen) % 2 == 1))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        eventually(lambda: seen)
        assert roll_out(node, copy) == {"artifact": "next", "outcome": "done", "reason": None}
        eventually(lambda: seen[-1][0] == new)
    finally:
        stop.set()
        asking.join()
        assert roll_out(node, bundle)["outcome"] == "done"
    # Each version has one list: no answer mixes the two.
    by_version = {version: {tuple(items) for v, *items in seen if v == version} for version in (old[0], new)}
    assert by_version[old[0]] == {tuple(old[1:])}
    assert len(by_version[new]) == 1
    assert by_version[new] != by_version[old[0]]
    assert {version for version, *_ in seen} == {old[0], new}
    assert lists(node) == old


def test_an_answer_tells_of_the_run_that_computed_it_and_not_of_what_serves_when_it_is_written(bundle: Path) -> None:
    opening = Opening("simulated", 1, 10, lambda size: None, Boundary())
    release = opening(bundle)
    nobody: Any = None
    parts = Parts(
        Identity("a", "node-1"), Rollout(release, opening), nobody, nobody, nobody, nobody, Metrics(), deadline_s=1.0
    )
    api = Api(parts)
    try:
        sound = asyncio.run(release.batcher.rank(Job([1], [1], 3), time.monotonic() + 10))
        release.accelerator.lose("after that run")
        fallen_back = asyncio.run(release.batcher.rank(Job([1], [1], 3), time.monotonic() + 10))
        eventually(lambda: not release.accelerator.degraded)
        for ranking, degraded in ((sound, False), (fallen_back, True)):
            for lost in (False, True):
                if lost:
                    release.accelerator.lose("when it is written")
                answer = api._ranked(release, ranking.items, ranking.scores, ranking, [1], more={})
                assert json.loads(answer.body)["degraded"] is degraded
                assert b"x-recsvc-degraded: %d\r\n" % degraded in api.standing.headers(answer)
            eventually(lambda: not release.accelerator.degraded)
    finally:
        release.close()


def test_the_model_that_serves_is_checked_again_and_stays(node: Node, bundle: Path, copy: Path) -> None:
    before = lists(node)
    assert roll_out(node, copy) == {"artifact": "next", "outcome": "done", "reason": None}
    assert lists(node) == before
    flip(bundles.MODEL)(copy)
    assert roll_out(node, copy)["outcome"] == "refused"
    assert roll_out(node, bundle)["outcome"] == "done"


def flip(name: str) -> Change:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (folder / name).write_bytes(content)

    return change


def other_catalogue(folder: Path) -> None:
    items = json.loads((folder / bundles.ITEMS).read_text())
    (folder / bundles.ITEMS).write_text(json.dumps(items[::-1]))
    resealed(folder)


def no_numbers(folder: Path) -> None:
    with_prior(folder, float("nan"))


def no_model(folder: Path) -> None:
    (folder / bundles.MODEL).write_bytes(b"no model at all")
    resealed(folder)


UNFIT: list[tuple[Change, str]] = [
    (flip(bundles.MODEL), "checksum of model.onnx"),
    (flip(bundles.EMBEDDINGS), "checksum of item_embeddings.npy"),
    (lambda folder: (folder / bundles.MANIFEST).write_bytes(b"\xff{"), "not valid JSON"),
    (lambda folder: (folder / bundles.MODEL).unlink(), "cannot be read"),
    (shutil.rmtree, "not a model bundle"),
    (other_catalogue, "another catalogue"),
    (no_numbers, "not numbers"),
    (no_model, "does not run"),
]


@pytest.mark.parametrize(("change", "reason"), UNFIT, ids=[reason for _, reason in UNFIT])
def test_what_is_unfit_is_refused_and_the_old_model_goes_on(
    node: Node, copy: Path, change: Change, reason: str
) -> None:
    before = lists(node)
    change(copy)
    ended = roll_out(node, copy)
    assert (ended["artifact"], ended["outcome"]) == ("next", "refused")
    assert reason in ended["reason"]
    assert lists(node) == before
    assert node.http.get("/v1/model").json()["last_rollout"] == ended
    assert "recsvc_last_rollout_refused 1" in node.http.get("/metrics").text
    assert node.http.get("/readyz").status_code == 200


def test_a_lost_accelerator_is_still_lost_to_the_next_model(node: Node, bundle: Path, copy: Path) -> None:
    with_prior(copy, 2.0)
    try:
        assert node.admin.post("/accelerator/fail", json={"layer": "simulated"}).status_code == 200
        assert roll_out(node, copy)["outcome"] == "done"
        answer = node.http.post("/v1/recommend", json={"user": "u1"}).json()
        assert (answer["accelerator"], answer["degraded"]) == ("cpu", True)
    finally:
        node.admin.post("/accelerator/restore")
        roll_out(node, bundle)
        eventually(lambda: node.state()["accelerator_state"] == "ok")


def test_a_node_that_starts_with_a_damaged_model_serves_the_last_good_one(cluster: Cluster, copy: Path) -> None:
    good = cluster.bundle
    flip(bundles.MODEL)(copy)
    cluster.bundle = copy
    node = cluster.node("a/node-1", cluster.store("store"), "--last-good", str(good), replication="async")
    state = node.http.get("/readyz").json()
    assert state["model_version"] == Bundle.load(good).version
    assert state["last_rollout"] == {"artifact": "next", "outcome": "refused", "reason": "checksum of model.onnx"}


def test_a_node_without_a_sound_model_does_not_start(cluster: Cluster, copy: Path) -> None:
    flip(bundles.MODEL)(copy)
    cluster.bundle = copy
    node = cluster.node("a/node-1", cluster.store("store"), replication="async", wait=False)
    assert node.popen.wait(timeout=20) == 2
    assert "checksum of model.onnx" in node.log.read_text()


def test_a_slow_accelerator_slows_every_answer_and_is_fast_again_when_told(node: Node) -> None:
    def took_s() -> float:
        return float(node.http.post("/v1/recommend", json={"user": "u1"}).elapsed.total_seconds())

    try:
        assert node.admin.post("/accelerator/slow", json={"delay_ms": 250}).status_code == 200
        assert min(took_s() for _ in range(3)) >= 0.25
    finally:
        assert node.admin.post("/accelerator/slow", json={"delay_ms": 0}).status_code == 200
    assert min(took_s() for _ in range(10)) < 0.25


def test_a_node_without_an_accelerator_has_none_to_slow_down(cluster: Cluster) -> None:
    plain = cluster.node("a/node-1", cluster.store("store"), replication="async")
    refused = plain.admin.post("/accelerator/slow", json={"delay_ms": 100})
    assert refused.status_code == 409
    assert "no accelerator to slow" in refused.json()["detail"]
