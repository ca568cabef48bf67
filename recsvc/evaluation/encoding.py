"""User vectors as the service computes them: through the bundle's own graph, in chunks."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from recsvc.bundle import Bundle
from recsvc.evaluation.figures import Indices, Scores

_BATCH = 256


class Encoder:
    """The bundle's graph on the CPU, of which only the path to the user vector is run."""

    def __init__(self, bundle: Bundle) -> None:
        import onnxruntime  # noqa: PLC0415 - 0.2 s, and training reads this package for its ranks alone

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        self._session = onnxruntime.InferenceSession(
            str(bundle.model_path), options, providers=["CPUExecutionProvider"]
        )
        self._run_options = onnxruntime.RunOptions()
        # Scoring and ranking the catalogue would take most of the time, and is done here in larger chunks.
        self._run_options.only_execute_path_to_fetches = True
        self._length = bundle.max_length

    def users(self, histories: Sequence[Indices]) -> Scores:
        """User vectors float32 ``[len(histories), d]`` of the newest items of each; a history may be empty."""
        parts = [self._encode(histories[start : start + _BATCH]) for start in range(0, len(histories), _BATCH)]
        return np.concatenate(parts)

    def _encode(self, histories: Sequence[Indices]) -> Scores:
        padded = np.zeros((len(histories), self._length), dtype=np.int64)
        for row, history in zip(padded, histories, strict=True):
            newest = history[-self._length :]
            row[self._length - len(newest) :] = newest
        feeds = {
            "history": padded,
            "seen": np.zeros((len(histories), 0), dtype=np.int64),
            "k": np.ones(1, dtype=np.int64),
        }
        vectors: Scores = self._session.run(["user"], feeds, self._run_options)[0]
        return vectors
