"""LitServe: one worker, dynamic batching."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from ranker import MAX_BATCH, Ranker

BATCH_TIMEOUT_S = 0.001


class Rank(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self._rank = Ranker()

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return inputs

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def predict(self, x: list[dict[str, Any]]) -> list[dict[str, Any]]:
        items, scores = self._rank([ask["history"] for ask in x], max(ask["k"] for ask in x))
        listed = scores.tolist()
        return [{"items": items[row][: ask["k"]], "scores": listed[row][: ask["k"]]} for row, ask in enumerate(x)]


if __name__ == "__main__":
    api = Rank(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S, api_path="/rank")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning", access_log=False)
