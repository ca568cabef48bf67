"""A bundle's tables: the catalogue, what users did, and whom to ask to see how good the answers are."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recsvc import bundle
from recsvc.data import Dataset, Split
from recsvc.state import HISTORY_LIMIT

EVALUATED_USERS = 10_000
"""Of more users than these a seeded sample is kept to be asked: the standard error of a rate is then below 0.005."""
EVALUATION_SEED = 20


def write(folder: Path, dataset: Dataset, split: Split) -> None:
    """Write items, histories and evaluation; a history is what a store keeps of it, its newest 500 items."""
    ids = np.array(["", *(item.id for item in dataset.items)], dtype=object)
    held_out = np.zeros(len(dataset.users), dtype=np.int64)
    held_out[split.evaluated] = 1
    histories = {
        user: ids[sequence[: len(sequence) - cut][-HISTORY_LIMIT:]].tolist()
        for user, sequence, cut in zip(dataset.users, dataset.sequences, held_out.tolist(), strict=True)
    }
    asked = sample(len(split.evaluated))
    targets = ids[split.test[asked]].tolist()
    users = [dataset.users[position] for position in split.evaluated[asked].tolist()]
    expected = {user: [target] for user, target in zip(users, targets, strict=True)}
    _write_json(folder / bundle.ITEMS, [asdict(item) for item in dataset.items])
    _write_json(folder / bundle.HISTORIES, histories)
    _write_json(folder / bundle.EVALUATION, {"users": users, "expected": expected})


def sample(users: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which of so many evaluated users a bundle keeps: all, or always the same 10,000, in their order."""
    if users <= EVALUATED_USERS:
        return np.arange(users)
    return np.sort(np.random.default_rng(EVALUATION_SEED).choice(users, EVALUATED_USERS, replace=False))


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
