"""What a trial notes of nodes and stores twice a second, for the report's charts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drills import sampling
from drills.recording.record import Event, read_events
from drills.targets.base import Target
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Pair, eventually, pair

REGIONS = {"primary": ("primary/node-1", "primary/node-2"), "standby": ("standby/node-1",)}


@pytest.fixture
def two_regions(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path, tiny_bundle.write(tmp_path / "bundle")) as deployed:
        yield deployed


def said(**more: Any) -> dict[str, Any]:
    fields = {"accelerator_wanted": "cuda", "accelerator_state": "ok", "store_ready": True, "store_role": "master"}
    return {**fields, "store_offset": 42, "store_linked": None, **more}


def test_a_node_that_did_not_answer_is_noted_as_such() -> None:
    found = sampling.seen({"primary/node-1": None, "primary/node-2": said(), "standby/node-1": None}, REGIONS)
    assert found["nodes"]["primary/node-1"] is None
    assert found["nodes"]["primary/node-2"] == {"accelerator": "cuda", "state": "ok"}
    assert found["stores"] == {"primary": {"role": "master", "offset": 42, "linked": None}, "standby": None}


def test_a_store_is_what_a_node_says_that_has_just_heard_from_it() -> None:
    first = said(store_ready=False, store_offset=7)
    found = sampling.seen({"primary/node-1": first, "primary/node-2": said(), "standby/node-1": first}, REGIONS)
    assert found["stores"]["primary"]["offset"] == 42
    assert found["stores"]["standby"] is None


def samples(path: Path) -> list[Event]:
    return [event for event in read_events(path) if event.kind == sampling.KIND] if path.exists() else []


def test_a_service_whose_nodes_nobody_knows_is_not_asked(tmp_path: Path) -> None:
    # A stand-in, as an external target has it: no nodes, and nobody may ask.
    target = cast(Target, SimpleNamespace(deployment=SimpleNamespace(nodes={})))
    with sampling.sampling(target, tmp_path / "events.jsonl", 1):
        time.sleep(0.1)
    assert samples(tmp_path / "events.jsonl") == []


def test_nodes_and_stores_of_two_real_regions(two_regions: Pair, tmp_path: Path) -> None:
    nodes = {"primary/node-1": two_regions.node, "standby/node-1": two_regions.standby_node}
    deployment = SimpleNamespace(nodes={name.partition("/")[0]: (name,) for name in nodes})
    # Real nodes and stores; only the way to them is the test's own.
    target = cast(Target, SimpleNamespace(deployment=deployment, observe=lambda name: nodes[name].state()))
    path = tmp_path / "events.jsonl"
    assert two_regions.node.event("e1").status_code in (200, 503)
    with sampling.sampling(target, path, 3):
        found = eventually(lambda: len(samples(path)) >= 2 and samples(path)[-1])
    stores = found.data["stores"]
    assert found.trial == 3
    assert (stores["primary"]["role"], stores["standby"]["role"]) == ("master", "slave")
    assert stores["standby"]["linked"] is True
    assert abs(stores["primary"]["offset"] - stores["standby"]["offset"]) < 20_000
    assert found.data["nodes"]["standby/node-1"] == {"accelerator": "cpu", "state": "ok"}


def test_a_replica_that_was_cut_off_keeps_saying_how_far_it_had_come(two_regions: Pair) -> None:
    standby = two_regions.standby_node
    before = eventually(lambda: standby.state()["store_offset"])
    two_regions.standby.command("REPLICAOF", "127.0.0.1", "1")  # where nobody is
    eventually(lambda: standby.state()["store_linked"] is False)
    assert standby.state()["store_offset"] >= before
