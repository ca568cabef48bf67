"""Where data comes from, in which order, and what a damaged cache or an unreachable network leads to."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from recsvc import data, movielens, synthetic
from recsvc.bundle import Item
from recsvc.data import Acquired, DataError, acquire, hold_out, read, store
from recsvc.data.keys import Key
from recsvc.movielens import SourceError, Tables
from recsvc.pseudonym import Pseudonymiser

TABLES = Tables(
    b"a\tx\t5\t30\nb\ty\t4\t10\na\ty\t3\t10\na\tz\t1\t10\na\tx\t2\t40\nb\tnew\t1\t5\n",
    (Item("x", "X", 1990, ("Drama",)), Item("y", "Y", None, ()), Item("z", "Z", 1991, ())),
)


class Sources:
    """Stands in for the network: each source gives `TABLES` or fails, and it is noted who was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, official: bool, wheel: bool) -> None:
        self.asked: list[str] = []
        monkeypatch.setattr(movielens, "from_grouplens", lambda: self.answer("official", official))
        monkeypatch.setattr(movielens, "from_wheel", lambda: self.answer("wheel", wheel))

    def answer(self, name: str, works: bool) -> Tables:
        self.asked.append(name)
        if not works:
            raise SourceError(f"{name} is down")
        return TABLES


def silent(_: str) -> None:
    """Nobody listens."""


def test_the_official_source_is_preferred_and_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=True, wheel=True)
    first = acquire("auto", tmp_path, silent)
    assert (first.source, first.synthetic, sources.asked) == ("grouplens", False, ["official"])
    assert acquire("ml-100k", tmp_path, silent) == first
    assert sources.asked == ["official"]


def test_the_wheel_is_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=False, wheel=True)
    assert acquire("auto", tmp_path, silent).source == "recbole-wheel"
    assert sources.asked == ["official", "wheel"]


def test_synthetic_data_is_the_last_resort_and_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=False, wheel=False)
    said: list[str] = []
    got = acquire("auto", tmp_path, said.append)
    assert got.synthetic
    assert any("USING SYNTHETIC DATA" in line and "wheel is down" in line for line in said)
    asked = list(sources.asked)
    assert acquire("auto", tmp_path, said.append) == got
    assert sources.asked == asked, "a network that just failed is not tried again at once"
    assert said[-1].startswith("USING SYNTHETIC DATA")


def test_real_data_that_was_asked_for_is_never_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=False, wheel=False)
    acquire("auto", tmp_path, silent)
    with pytest.raises(DataError, match=r"official is down; wheel is down.*--data synthetic"):
        acquire("ml-100k", tmp_path, silent)
    assert sources.asked[-2:] == ["official", "wheel"]


@pytest.mark.parametrize("file", ["interactions.npz", "items.json", "source.json"])
def test_a_damaged_cache_is_fetched_again(file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=True, wheel=True)
    first = acquire("auto", tmp_path, silent)
    (first.folder / file).write_bytes(b"garbage")
    said: list[str] = []
    assert acquire("auto", tmp_path, said.append) == first
    assert sources.asked == ["official", "official"]
    assert any("damaged" in line for line in said)
    assert read(first).cleaning.interactions == 5


def test_an_archive_put_in_place_by_hand_is_tried_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=False, wheel=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ml-100k.zip").write_bytes(b"not a zip")
    said: list[str] = []
    assert acquire("auto", tmp_path, said.append).source == "recbole-wheel"
    assert sources.asked == ["official", "wheel"]
    assert any("ml-100k.zip: not the MovieLens-100k archive" in line for line in said)


def test_asking_for_synthetic_data_touches_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = Sources(monkeypatch, official=True, wheel=True)
    assert acquire("synthetic", tmp_path, silent).source == "synthetic"
    assert sources.asked == []


def test_ties_keep_file_order_and_repeats_are_dropped(tmp_path: Path) -> None:
    pseudonym = Pseudonymiser(b"k" * 16)
    dataset = read(store(tmp_path / "d", "grouplens", TABLES, key=Key(pseudonym, "")))
    assert dataset.users == (pseudonym("a"), pseudonym("b"))
    names = [[dataset.items[index - 1].id for index in sequence] for sequence in dataset.sequences]
    assert names == [["y", "z", "x"], ["new", "y"]]
    cleaning = dataset.cleaning
    assert (cleaning.interactions_read, cleaning.duplicates_dropped) == (6, 1)
    assert (cleaning.items_without_description, cleaning.items, cleaning.users_not_evaluated) == (1, 4, 2)
    assert dataset.items[3] == Item("new", "new", None, ())


def test_the_last_two_items_are_held_out() -> None:
    split = hold_out([np.arange(1, 8), np.arange(1, 4)])
    assert [s.tolist() for s in split.train] == [[1, 2, 3, 4, 5], [1, 2, 3]]
    assert split.evaluated.tolist() == [0]
    assert (split.validation.tolist(), split.test.tolist()) == ([6], [7])
    assert [s.tolist() for s in split.before_test] == [[1, 2, 3, 4, 5, 6]]
    assert [s.tolist() for s in split.not_evaluated] == [[1, 2, 3]]


def test_synthetic_data_is_the_same_every_time_and_has_the_structure_it_claims(tmp_path: Path) -> None:
    tables = synthetic.make(users=50, items_per_genre=10, events=20)
    assert tables == synthetic.make(users=50, items_per_genre=10, events=20)
    dataset = read(store(tmp_path / "s", "synthetic", tables))
    assert dataset.cleaning.duplicates_dropped == 0
    assert min(map(len, dataset.sequences)) >= data.MIN_EVALUATED
    steps = [(a - 1, b - 1) for sequence in dataset.sequences for a, b in pairwise(sequence)]
    follows = np.mean([a // 10 == b // 10 and (b - a) % 10 in (1, 2, 3) for a, b in steps])
    assert 0.5 < follows < 0.95


def test_the_hash_covers_the_catalogue_too(tmp_path: Path) -> None:
    other = Tables(TABLES.interactions, (*TABLES.items[:2], Item("z", "Z renamed", 1991, ())))
    one: Acquired = store(tmp_path / "one", "grouplens", TABLES)
    two: Acquired = store(tmp_path / "two", "recbole-wheel", other)
    assert one.interactions_sha256 == two.interactions_sha256
    assert one.sha256 != two.sha256
