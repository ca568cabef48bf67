"""Seeding a real store, and the pseudonyms under which users are stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recsvc.pseudonym import KeyFileError, Pseudonymiser
from recsvc.state import HISTORY_LIMIT
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import KEY, Cluster


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
    key = f"h:{Pseudonymiser(KEY)('u1')}"
    assert store.command("LRANGE", key, 0, -1) == [b"1", b"2", b"3"]
    store.command("RPUSH", key, 9)
    again = run_seed(cluster, store.address)
    assert json.loads(again.stdout)["already"] is True
    assert store.command("LRANGE", key, 0, -1) == [b"1", b"2", b"3", b"9"], "events since then are kept"


def test_interrupted_seeding_starts_over(cluster: Cluster) -> None:
    store = cluster.store("store")
    run_seed(cluster, store.address)
    store.command("DEL", "seeded")
    run_seed(cluster, store.address)
    assert store.command("LRANGE", f"h:{Pseudonymiser(KEY)('u2')}", 0, -1) == [b"4"]


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


def test_histories_are_trimmed_to_the_newest(cluster: Cluster) -> None:
    store = cluster.store("store")
    node = cluster.node("primary/node-1", store, replication="async")
    key = f"h:{Pseudonymiser(KEY)('eager')}"
    store.command("RPUSH", key, *[1] * HISTORY_LIMIT)
    assert node.event("one-more", user="eager", item="i9").status_code == 200
    assert store.command("LLEN", key) == HISTORY_LIMIT
    assert store.command("LINDEX", key, -1) == b"9"
