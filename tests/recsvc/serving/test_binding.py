"""A session behind an IO binding answers as one without, run after run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recsvc import sessions
from recsvc.accelerator import Arrays, sample_feeds
from recsvc.binding import BoundSession
from tests.recsvc.serving import tiny_bundle


def feeds(batch: int, k: int, known: int = 0) -> Arrays:
    rng = np.random.default_rng(batch * 100 + k)
    history = rng.integers(1, tiny_bundle.ITEMS, size=(batch, 4))
    asked: Arrays = {"history": history[known:], "seen": history, "k": np.array([k])}
    if known:
        asked["known"] = rng.normal(size=(known, tiny_bundle.DIMENSIONS)).astype(np.float32)
    return asked


def test_batches_that_grow_and_shrink_are_answered_alike(bundle: Path) -> None:
    session = sessions.on_cpu(bundle / "model.onnx", 1)
    bound = BoundSession(session)
    earlier: list[tuple[Arrays, Arrays]] = []
    for batch, k, known in [(1, 5, 0), (64, 30, 0), (3, 5, 1), (2, 9, 2), (1, 1, 1), (64, 30, 64), (5, 5, 0)]:
        asked = feeds(batch, k, known)
        expected = dict(zip(("items", "scores", "user"), session.run(["items", "scores", "user"], asked), strict=True))
        earlier.append((expected, bound.run(asked)))
        # Also those of runs before: nothing may be written over.
        for one, other in earlier:
            assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_a_session_refuses_it_refuses_too(bundle: Path) -> None:
    bound = BoundSession(sessions.on_cpu(bundle / "model.onnx", 1))
    with pytest.raises(Exception, match="history"):
        bound.run({name: array for name, array in sample_feeds(1, 1, 1).items() if name != "history"})
    assert bound.run(sample_feeds(2, 1, 3))["items"].shape == (2, 3)
