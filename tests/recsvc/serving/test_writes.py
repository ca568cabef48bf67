"""Writes against real Valkeys and Sentinels: what each mode does when parts go away."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path

import pytest

from tests.recsvc.serving.cluster import Node, Pair, eventually, pair

_numbers = itertools.count()


def fresh_id() -> str:
    return f"event-{next(_numbers)}"


def logged(node: Node) -> list[str]:
    """Ids in the log of the node's store, in stored order."""
    ids, cursor = [], ""
    while cursor is not None:
        page = node.http.get("/v1/events", params={"after": cursor, "limit": 100}).json()
        ids += [event["id"] for event in page["events"]]
        cursor = page["next"]
    return ids


def writable(node: Node) -> bool:
    return node.http.get("/readyz/write").status_code == 200


def assert_not_acknowledged(node: Node) -> None:
    answer = node.event(fresh_id())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:recsvc:problem:not-acknowledged"


def test_semisync_acknowledges_two_copies_and_a_retry_stores_nothing(two_regions: Pair) -> None:
    eventually(lambda: writable(two_regions.node))
    first, again = two_regions.node.event("retried"), two_regions.node.event("retried")
    assert (first.json()["acknowledged"], first.json()["copies"], first.json()["duplicate"]) == (
        True,
        2,
        False,
    )
    assert (again.json()["acknowledged"], again.json()["copies"], again.json()["duplicate"]) == (
        True,
        2,
        True,
    )
    assert logged(two_regions.node) == logged(two_regions.standby_node) == ["retried"]
    assert not writable(two_regions.standby_node)
    assert_not_acknowledged(two_regions.standby_node)
    other = two_regions.node.event("retried", item="i10")
    assert (other.status_code, other.json()["type"]) == (409, "urn:recsvc:problem:id-reused")
    assert logged(two_regions.node) == ["retried"]


def test_replica_killed_then_alone_within_a_second(two_regions: Pair) -> None:
    eventually(lambda: two_regions.node.event(fresh_id()).status_code == 200)
    two_regions.standby.kill()
    killed_s = time.monotonic()
    answer = eventually(lambda: (r := two_regions.node.event(fresh_id())).status_code == 200 and r, within_s=3)
    assert time.monotonic() - killed_s < 1.0
    assert answer.json()["copies"] == 1
    assert writable(two_regions.node)
    started_s = time.monotonic()
    for _ in range(20):
        assert two_regions.node.event(fresh_id()).json()["copies"] == 1
    assert time.monotonic() - started_s < 1.0, "WAIT for a replica that is gone must not cost its timeout each time"


def test_silent_replica_then_alone_after_half_a_second(two_regions: Pair) -> None:
    """A stopped replica keeps its connection: only unconfirmed heartbeats tell, as in a real partition."""
    eventually(lambda: two_regions.node.event(fresh_id()).status_code == 200)
    two_regions.standby.signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    answer = eventually(lambda: (r := two_regions.node.event(fresh_id())).status_code == 200 and r, within_s=3)
    assert 0.3 < time.monotonic() - stopped_s < 1.5
    assert answer.json()["copies"] == 1
    two_regions.standby.signal(signal.SIGCONT)
    eventually(lambda: two_regions.node.event(fresh_id()).json().get("copies") == 2)


@pytest.mark.parametrize("silent", ["witness", "own"])
def test_replica_gone_and_a_sentinel_silent_then_nothing_is_acknowledged(two_regions: Pair, silent: str) -> None:
    eventually(lambda: writable(two_regions.node))
    getattr(two_regions, silent).signal(signal.SIGSTOP)
    two_regions.standby.kill()
    eventually(lambda: not writable(two_regions.node), within_s=2)
    # Never an acknowledgement, for longer than any validity lasts.
    end_s = time.monotonic() + 1.5
    while time.monotonic() < end_s:
        assert_not_acknowledged(two_regions.node)
        assert not writable(two_regions.node)
        time.sleep(0.05)
    getattr(two_regions, silent).signal(signal.SIGCONT)
    eventually(lambda: two_regions.node.event(fresh_id()).json().get("copies") == 1, within_s=5)


def test_frozen_node_wakes_without_permission(two_regions: Pair) -> None:
    """Permission ends by the monotonic clock, which runs while the process does not."""
    eventually(lambda: writable(two_regions.node))
    two_regions.standby.kill()
    eventually(lambda: two_regions.node.state()["write_verdict"] == "alone", within_s=3)
    two_regions.node.signal(signal.SIGSTOP)
    for sentinel in (two_regions.witness, two_regions.own):
        sentinel.signal(signal.SIGSTOP)
    time.sleep(0.5)
    two_regions.node.signal(signal.SIGCONT)
    for _ in range(10):
        assert_not_acknowledged(two_regions.node)


def test_primary_lost_then_standby_takes_over_with_everything(two_regions: Pair) -> None:
    ids = [fresh_id() for _ in range(50)]
    eventually(lambda: writable(two_regions.node))
    acknowledged = [event_id for event_id in ids if two_regions.node.event(event_id).status_code == 200]
    for part in (two_regions.primary, two_regions.own, two_regions.node):
        part.kill()
    killed_s = time.monotonic()
    answer = eventually(lambda: (r := two_regions.standby_node.event("after")).status_code == 200 and r)
    assert time.monotonic() - killed_s < 3
    assert answer.json()["copies"] == 1
    assert logged(two_regions.standby_node) == [*acknowledged, "after"]
    retried = two_regions.standby_node.event(acknowledged[-1])
    assert retried.json()["duplicate"] is True, "a retry at the other region is recognised"


def test_frozen_old_primary_acknowledges_nothing_after_the_takeover(two_regions: Pair) -> None:
    """The whole primary region is stopped and continued: its store still believes to be the master."""
    eventually(lambda: writable(two_regions.node))
    parts = (two_regions.node, two_regions.primary, two_regions.own)
    for part in parts:
        part.signal(signal.SIGSTOP)
    eventually(lambda: two_regions.standby_node.event(fresh_id()).status_code == 200, within_s=5)
    for part in parts:
        part.signal(signal.SIGCONT)
    refused = 0
    end_s = time.monotonic() + 3
    while time.monotonic() < end_s and refused < 50:
        answer = two_regions.node.event(fresh_id())
        assert answer.status_code == 503, answer.text
        refused += 1
    eventually(lambda: two_regions.node.state()["store_role"] == "slave", within_s=20)


def test_sync_never_acknowledges_one_copy(tmp_path: Path, bundle: Path) -> None:
    with pair(tmp_path, bundle, replication="sync") as regions:
        eventually(lambda: regions.node.event(fresh_id()).json().get("copies") == 2)
        regions.standby.kill()
        eventually(lambda: not writable(regions.node), within_s=2)
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            assert_not_acknowledged(regions.node)


def test_async_acknowledges_at_once_until_a_sentinel_contradicts(tmp_path: Path, bundle: Path) -> None:
    with pair(tmp_path, bundle, replication="async") as regions:
        assert eventually(lambda: regions.node.event(fresh_id()).json().get("copies") == 1)
        regions.standby.kill()
        regions.witness.kill()
        regions.own.kill()
        for _ in range(20):
            assert regions.node.event(fresh_id()).json()["copies"] == 1


def test_log_is_paged_in_stored_order(two_regions: Pair) -> None:
    eventually(lambda: writable(two_regions.node))
    ids = [fresh_id() for _ in range(25)]
    for event_id in ids:
        assert two_regions.node.event(event_id).status_code == 200
    pages, cursor = [], None
    while True:
        parameters = {"limit": 10} | ({"after": cursor} if cursor else {})
        page = two_regions.node.http.get("/v1/events", params=parameters).json()
        pages.append([event["id"] for event in page["events"]])
        cursor = page["next"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [event_id for page in pages for event_id in page] == ids
    assert page["events"][0]["item"] == "i9"


def test_unwritable_store_is_not_waited_for(two_regions: Pair) -> None:
    """A hung store must not hang the writer: each answer comes within its time limits."""
    eventually(lambda: writable(two_regions.node))
    two_regions.primary.signal(signal.SIGSTOP)
    started_s = time.monotonic()
    assert_not_acknowledged(two_regions.node)
    assert time.monotonic() - started_s < 0.9
    eventually(lambda: two_regions.node.http.get("/readyz").status_code == 503, within_s=2)
    recommended = two_regions.node.http.post("/v1/recommend", json={"user": "u1"})
    assert recommended.status_code == 200
    assert recommended.json()["degraded_reason"] == "history-unavailable"
    assert recommended.headers["x-recsvc-degraded"] == "1"
