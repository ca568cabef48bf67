"""A recsvc node whose model takes no time: what is left is the service's own work. Arguments as `recsvc.server`'s.

Only `onnxruntime.InferenceSession.run` is replaced, once the node is warm; queue, threads, store and HTTP are real.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

WARM_RUNS = 2
ROWS = 256


class Hollow:
    """Stands in for `run`: real answers while the node warms up, then the same made-up ones in no time."""

    def __init__(self, dimensions: int = 64, items: int = 100_000) -> None:
        draw = np.random.default_rng(0)
        self._run = onnxruntime.InferenceSession.run
        self._runs = 0
        self._items = np.sort(draw.integers(1, items, (ROWS, 200)))
        self._scores = -np.sort(-draw.normal(size=(ROWS, 200)).astype(np.float32))
        self._users = draw.normal(size=(ROWS, dimensions)).astype(np.float32)

    def run(self, session: Any, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]], *more: Any) -> Any:
        self._runs += 1
        if self._runs <= WARM_RUNS + 1:
            return self._run(session, outputs, feeds, *more)
        rows, k = feeds["seen"].shape[0], int(feeds["k"][0])
        made = {"items": self._items[:rows, :k], "scores": self._scores[:rows, :k], "user": self._users[:rows]}
        return [made[name] for name in outputs]


def main() -> int:
    hollow = Hollow()
    # A function, not the bound method, so that it is given the session.
    onnxruntime.InferenceSession.run = lambda *arguments: hollow.run(*arguments)  # noqa: PLW0108
    from recsvc.server import main as serve  # noqa: PLC0415 - after the replacement

    return serve()


if __name__ == "__main__":
    sys.exit(main())
