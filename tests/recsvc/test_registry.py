"""Publishing is all or nothing, and one process at a time."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from pathlib import Path

import pytest

from recsvc import registry
from recsvc.bundle import PREVIOUS, Bundle, BundleError


def ignore(_: str) -> None:
    """A message nobody needs."""


def writer(source: Path) -> registry.Writer:
    return lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True) and None


def test_what_was_published_is_found(small_bundle: Path, tmp_path: Path) -> None:
    made = registry.publish(tmp_path, "k1", writer(small_bundle))
    found = registry.find(tmp_path, "k1", pytest.fail)
    assert found is not None
    assert found.path == made.path == tmp_path / "bundles" / made.version
    assert registry.find(tmp_path, "k2", pytest.fail) is None


def test_a_writer_that_dies_leaves_nothing_visible(small_bundle: Path, tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        shutil.copy(small_bundle / "model.onnx", folder)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        registry.publish(tmp_path, "k", half)
    with pytest.raises(BundleError):
        registry.publish(tmp_path, "k", lambda folder: None)
    assert registry.find(tmp_path, "k", pytest.fail) is None
    assert list((tmp_path / "bundles").iterdir()) == []


def test_leftovers_of_a_killed_writer_are_swept(small_bundle: Path, tmp_path: Path) -> None:
    stale = tmp_path / "bundles" / ".partial-k-deadbeef"
    stale.mkdir(parents=True)
    (stale / "model.onnx").write_bytes(b"half")
    registry.publish(tmp_path, "k", writer(small_bundle))
    assert not stale.exists()


def test_a_damaged_bundle_is_reported_and_replaced(small_bundle: Path, tmp_path: Path) -> None:
    made = registry.publish(tmp_path, "k", writer(small_bundle))
    (made.path / "items.json").write_text("[]")
    reasons: list[str] = []
    assert registry.find(tmp_path, "k", reasons.append) is None
    assert "items.json: SHA-256" in reasons[0]
    again = registry.publish(tmp_path, "k", writer(small_bundle))
    assert again.path == made.path
    assert registry.find(tmp_path, "k", pytest.fail) is not None
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [made.version]


def test_a_sound_bundle_of_the_same_content_is_left_alone(small_bundle: Path, tmp_path: Path) -> None:
    made = registry.publish(tmp_path, "k", writer(small_bundle))
    inode = (made.path / "model.onnx").stat().st_ino
    registry.publish(tmp_path, "other", writer(small_bundle))
    assert (made.path / "model.onnx").stat().st_ino == inode


def test_a_torn_key_counts_as_no_key(tmp_path: Path) -> None:
    registry.write_atomically(tmp_path / "keys" / "k.json", json.dumps({"vers": "x"}).encode())
    assert registry.find(tmp_path, "k", pytest.fail) is None


def hold(cache: Path, journal: Path) -> None:
    with registry.lock(cache, "name", lambda: None):
        for _ in range(3):
            with journal.open("a") as file:
                file.write(f"{multiprocessing.current_process().name}\n")
            time.sleep(0.05)


def test_the_lock_admits_one_process_at_a_time_and_the_other_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=hold, args=(tmp_path, journal), name=f"w{n}") for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    names = journal.read_text().split()
    assert len(names) == 9
    assert all(len(set(names[start : start + 3])) == 1 for start in (0, 3, 6))

    told: list[str] = []
    holder = context.Process(target=hold, args=(tmp_path, tmp_path / "second"))
    holder.start()
    while not (tmp_path / "second").exists():
        time.sleep(0.005)
    with registry.lock(tmp_path, "name", lambda: told.append("waiting")):
        assert told == ["waiting"]
    holder.join(60)


def test_a_bundle_of_an_older_recipe_is_given_the_release_before_it(small_bundle: Path, tmp_path: Path) -> None:
    made = registry.publish(tmp_path, "k", writer(small_bundle))
    shutil.rmtree(made.path / PREVIOUS)
    inode = (made.path / "model.onnx").stat().st_ino
    reasons: list[str] = []
    assert registry.find(tmp_path, "k", reasons.append) is None
    assert f"{PREVIOUS}/manifest.json: not a model bundle" in reasons[0]
    again = registry.publish(tmp_path, "k", writer(small_bundle))
    assert again.path == made.path
    assert again.previous().version == made_before(small_bundle)
    assert (made.path / "model.onnx").stat().st_ino == inode
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [made.version]


def made_before(folder: Path) -> str:
    return Bundle.load(folder / PREVIOUS).version
