"""Seeding a real store, and the pseudonyms under which users are stored."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from recsvc.pseudonym import KeyFileError, Pseudonymiser
from recsvc.resp import Link
from recsvc.state import HISTORY_LIMIT, INDEX_BYTES, SEEDED, history_key, packed, read_history, unpacked
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import KEY, Cluster, Process


def run_seed(cluster: Cluster, store: str, **changes: str) -> subprocess.CompletedProcess[str]:
    options = {
        "--bundle": str(cluster.bundle),
        "--store": store,
        "--key-file": str(cluster.key_file),
    } | changes
    command = [sys.executable, "-m", "recsvc.seed", *(word for pair in options.items() for word in pair)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_seeding_stores_histories_once(cluster: Cluster) -> None:
    store = cluster.store("store")
    first = run_seed(cluster, store.address)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["users"] == len(tiny_bundle.HISTORIES)
    key = history_key(Pseudonymiser(KEY)("u1"))
    assert unpacked(store.command("GET", key)).tolist() == [1, 2, 3]
    store.command("APPEND", key, packed([9]))
    again = run_seed(cluster, store.address)
    assert json.loads(again.stdout)["already"] is True
    assert unpacked(store.command("GET", key)).tolist() == [1, 2, 3, 9], "events since then are kept"


def test_interrupted_seeding_starts_over(cluster: Cluster) -> None:
    store = cluster.store("store")
    run_seed(cluster, store.address)
    store.command("DEL", SEEDED)
    run_seed(cluster, store.address)
    assert unpacked(store.command("GET", history_key(Pseudonymiser(KEY)("u2")))).tolist() == [4]


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"--bundle": "/nonexistent"}, 2, "/nonexistent"),
        ({"--key-file": "/nonexistent"}, 2, "key file"),
        ({"--store": "127.0.0.1:1"}, 1, "127.0.0.1:1"),
        ({"--store": "nowhere"}, 2, "IP:PORT"),
    ],
)
def test_what_is_wrong_is_named(cluster: Cluster, changes: dict[str, str], code: int, message: str) -> None:
    ended = run_seed(cluster, "127.0.0.1:1", **changes)
    assert ended.returncode == code
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_replica_refuses_seeding(cluster: Cluster) -> None:
    replica = cluster.store("replica", replica_of=cluster.store("master"))
    ended = run_seed(cluster, replica.address)
    assert ended.returncode == 1
    assert "READONLY" in ended.stderr


def test_pseudonyms_depend_on_key_and_user(tmp_path: Path) -> None:
    one, other = Pseudonymiser(b"k" * 32), Pseudonymiser(b"l" * 32)
    assert one("196") == one("196") != one("197")
    assert one("196") != other("196")
    assert len(one("Zoë")) == 32
    long = Pseudonymiser(b"k" * 65)
    assert long("196") != Pseudonymiser(b"k" * 66)("196")
    (tmp_path / "key").write_bytes(b"k" * 32 + b"\n")
    assert Pseudonymiser.from_file(tmp_path / "key")("196") == one("196")
    (tmp_path / "short").write_bytes(b"k" * 15)
    with pytest.raises(KeyFileError, match="at least 16"):
        Pseudonymiser.from_file(tmp_path / "short")


def test_the_newest_of_a_history_count_and_it_grows_no_further_than_twice_that(cluster: Cluster) -> None:
    store = cluster.store("store")
    node = cluster.node("primary/node-1", store, replication="async")
    key = history_key(Pseudonymiser(KEY)("eager"))
    store.command("SET", key, packed([1]) + packed([2] * HISTORY_LIMIT))
    assert node.event("one-more", user="eager", item="i9").status_code == 200
    assert read(store, "eager") == [2] * (HISTORY_LIMIT - 1) + [9]
    store.command("SET", key, packed([1] * HISTORY_LIMIT) + packed([2] * HISTORY_LIMIT))
    assert node.event("and-one", user="eager", item="i8").status_code == 200
    assert store.command("STRLEN", key) == HISTORY_LIMIT * INDEX_BYTES
    assert read(store, "eager") == [2] * (HISTORY_LIMIT - 1) + [8]


def test_nothing_of_an_event_is_stored_where_its_history_cannot_be(cluster: Cluster) -> None:
    store = cluster.store("store")
    node = cluster.node("primary/node-1", store, replication="async")
    store.command("RPUSH", history_key(Pseudonymiser(KEY)("listed")), 1)
    assert node.event("listed-1", user="listed", item="i9").json()["stored"] is False
    assert store.command("XLEN", "log") == 0
    assert store.command("EXISTS", "e:listed-1") == 0


def test_a_history_is_read_as_it_was_stored() -> None:
    assert unpacked(packed([])).tolist() == []
    assert unpacked(packed([1, 2**31 - 1])).tolist() == [1, 2**31 - 1]
    assert unpacked(packed(range(2 * HISTORY_LIMIT))).tolist() == list(range(HISTORY_LIMIT, 2 * HISTORY_LIMIT))
    assert unpacked(b"?" + packed([7])).tolist() == [7], "half an index is none"


def read(store: Process, user: str) -> list[int] | None:
    """What a node would read."""

    async def ask() -> list[int] | None:
        link = Link(("127.0.0.1", store.port))
        running = asyncio.create_task(link.run())
        try:
            while not link.up:
                await asyncio.sleep(0.01)
            found = await read_history(link, Pseudonymiser(KEY)(user))
            return None if found is None else found.tolist()
        finally:
            running.cancel()

    return asyncio.run(ask())
