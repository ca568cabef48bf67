"""What a bundle keeps of many users and of long histories."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recsvc import tables
from recsvc.bundle import Item
from recsvc.data import Cleaning, Dataset, hold_out
from recsvc.state import HISTORY_LIMIT


def test_histories_keep_the_newest_and_evaluation_a_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "EVALUATED_USERS", 3)
    long, short = np.arange(1, HISTORY_LIMIT + 52), np.arange(1, 4)
    sequences = (long, short, *(np.arange(1 + n, 7 + n) for n in range(7)))
    items = tuple(Item(f"i{n}", "", None, ()) for n in range(1, len(long) + 1))
    users = tuple(f"u{n}" for n in range(len(sequences)))
    dataset = Dataset(users, items, sequences, sequences, Cleaning(0, 0, 0, 0, 0, 0))
    tables.write(tmp_path, dataset, hold_out(sequences))
    histories = json.loads((tmp_path / "histories.json").read_text())
    assert histories["u0"] == [f"i{n}" for n in range(51, HISTORY_LIMIT + 51)], "without the one that is held out"
    assert histories["u1"] == ["i1", "i2", "i3"], "nothing is held out of a short history"
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert len(evaluation["users"]) == 3
    assert evaluation["users"] == sorted(evaluation["users"]) == list(evaluation["expected"])
    for user, expected in evaluation["expected"].items():
        assert expected == [f"i{dict(zip(users, sequences, strict=True))[user][-1]}"]
        assert not set(expected) & set(histories[user])
    tables.write(tmp_path, dataset, hold_out(sequences))
    assert json.loads((tmp_path / "evaluation.json").read_text()) == evaluation, "always the same sample"


def test_few_are_all_kept() -> None:
    assert tables.sample(5).tolist() == [0, 1, 2, 3, 4]
    many = tables.sample(tables.EVALUATED_USERS * 14)
    assert len(set(many.tolist())) == tables.EVALUATED_USERS
    assert 0.4 < many.mean() / (tables.EVALUATED_USERS * 14) < 0.6
