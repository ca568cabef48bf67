"""BentoML: one worker with adaptive batching."""

from __future__ import annotations

from typing import Any

import bentoml
from ranker import MAX_BATCH, Ranker


@bentoml.service(workers=1, traffic={"timeout": 60})
class Rank:
    def __init__(self) -> None:
        self._rank = Ranker()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=1000)
    def rank(self, histories: list[list[int]]) -> list[dict[str, Any]]:
        items, scores = self._rank(histories, 100)
        return [{"items": ids, "scores": row} for ids, row in zip(items, scores.tolist(), strict=True)]
