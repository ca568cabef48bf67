"""What the lab's own processes write down: no user's id, however the request went, and nothing of the environment."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from drills.spec import Topology
from drills.targets.local.target import LocalTarget
from tests.privacy.searching import found_in

pytestmark = pytest.mark.lab

USER, TOKEN = "kim.oak@example.org", "lab-s3cret-0815"


def test_logs_hold_neither_users_nor_the_environment(
    namespaces_allowed: None, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    lab = LocalTarget(tmp_path / "lab", bundle_path)
    edge = lab.deploy(Topology(accelerator="simulated")).edge_url
    try:
        with httpx.Client(base_url=edge, headers={"Authorization": f"Bearer {TOKEN}", "X-User": USER}) as client:
            event = {"id": "private-1", "user": USER, "item": "1"}
            statuses = [
                client.post("/v1/recommend", json={"user": USER, "k": 5}).status_code,
                client.post("/v1/events", json=event).status_code,
                client.post("/v1/recommend", json={"user": USER, "k": -1}).status_code,
                client.post("/v1/events", json={**event, "item": USER}).status_code,
                client.post("/v1/recommend", content=f'{{"user": "{USER}"').status_code,
                client.get(f"/v1/users/{USER}", params={"user": USER, "token": TOKEN}).status_code,
            ]
        assert statuses[0] == 200
        assert all(400 <= status < 500 for status in statuses[2:]), statuses
        lab.kill_node(lab.nodes_of("primary")[0], signal.SIGABRT)  # what is said in a crash is logged, too
    finally:
        lab.teardown()
    assert len(list((tmp_path / "lab" / "logs").glob("*.log"))) > 5
    assert found_in(tmp_path, {"user": USER, "token": TOKEN}) == []
