"""mosec: one worker with dynamic batching, orjson in place of the standard library's codec."""

from __future__ import annotations

from typing import Any

import orjson
from mosec import Server, Worker
from ranker import MAX_BATCH, Ranker

MAX_WAIT_MS = 1
"""Its default of 10 adds 10 ms where requests come one at a time."""


class Rank(Worker):
    def __init__(self) -> None:
        super().__init__()
        self._rank = Ranker()

    def deserialize(self, data: bytes) -> Any:
        return orjson.loads(data)

    def serialize(self, data: Any) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        items, scores = self._rank([ask["history"] for ask in data], max(ask["k"] for ask in data))
        return [{"items": items[row][: ask["k"]], "scores": scores[row][: ask["k"]]} for row, ask in enumerate(data)]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Rank, num=1, max_batch_size=MAX_BATCH, max_wait_time=MAX_WAIT_MS)
    server.run()
