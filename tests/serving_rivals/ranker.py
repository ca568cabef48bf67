"""The model that every contender serves, opened as recsvc opens it. Needs onnxruntime and numpy only."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np
import onnxruntime

MAX_BATCH = 64
"""recsvc's own; no contender ever has more than the 32 of a closed loop to put together."""


class Ranker:
    """Histories in, the ids and scores of the best k items that are not in them out."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = os.environ["RIVAL_MODEL"]
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        with open(os.environ["RIVAL_ITEMS"], encoding="utf-8") as file:  # noqa: PTH123 - a bare script's habits
            self._ids = ["", *(item["id"] for item in json.load(file))]
        for batch in (1, MAX_BATCH):
            self([[1] * 50] * batch, 100)

    def __call__(self, histories: Sequence[Sequence[int]], k: int) -> tuple[list[list[str]], np.ndarray]:
        """The items' ids, and scores float32 [batch, k]."""
        items, scores = self.arrays(padded(histories), k)
        ids = self._ids
        return [[ids[index] for index in row] for row in items.tolist()], scores

    def arrays(self, history: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """``history`` int64 [batch, length]; returns items int64 and scores float32 [batch, k]."""
        feeds = {"history": history, "seen": history, "k": np.array([k])}
        items, scores = self._session.run(["items", "scores"], feeds)
        return items, scores


def padded(histories: Sequence[Sequence[int]]) -> np.ndarray:
    """int64 [batch, length], padded on the left with 0."""
    length = max(1, *(len(history) for history in histories))
    rows = np.zeros((len(histories), length), dtype=np.int64)
    for row, history in zip(rows, histories, strict=True):
        if history:
            row[length - len(history) :] = history
    return rows
