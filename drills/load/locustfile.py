"""The shop's users under Locust: they recommend, search and send events through the edge.

Locust is closed-loop: a user waits for an answer before the next request, so its latencies flatter a hanging service.
They are recorded for throughput and errors; RTO and latency objectives rest on the open-loop probes.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant_throughput, events, task

from drills.record import Request, RequestWriter

CONFIG: dict[str, Any] = json.loads(Path(os.environ["RECDR_LOAD_CONFIG"]).read_text())
MIX: dict[str, float] = CONFIG["mix"]
WRITER = RequestWriter(Path(CONFIG["out"]))
COUNTER = itertools.count()
RANDOM = random.Random(CONFIG["seed"])  # noqa: S311 - which user asks for what needs no secrecy


def _share(op: str) -> int:
    """Locust's weights are whole numbers; per mille is fine enough for any mix."""
    return round(1000 * MIX.get(op, 0))


class Shopper(FastHttpUser):
    """One customer; all of them together reach ``rate`` requests a second."""

    wait_time = constant_throughput(CONFIG["rate"] / CONFIG["users"])
    connection_timeout = CONFIG["timeout_s"]
    network_timeout = CONFIG["timeout_s"]

    def on_start(self) -> None:
        """Users do not arrive in step: without this they would all ask in the same moment, for ever."""
        gevent.sleep(RANDOM.uniform(0, CONFIG["users"] / CONFIG["rate"]))

    @task(_share("recommend"))
    def recommend(self) -> None:
        self._send("recommend", "/v1/recommend", {"user": RANDOM.choice(CONFIG["shoppers"]), "k": 20})

    @task(_share("search"))
    def search(self) -> None:
        body = {"user": RANDOM.choice(CONFIG["shoppers"]), "query": RANDOM.choice(CONFIG["queries"]), "k": 20}
        self._send("search", "/v1/search", body)

    @task(_share("event"))
    def event(self) -> None:
        number = f"{CONFIG['id_prefix']}-L{next(COUNTER)}"
        body = {
            "id": number,
            "user": RANDOM.choice(CONFIG["shoppers"]),
            "item": RANDOM.choice(CONFIG["items"]),
        }
        self._send("event", "/v1/events", body, number)

    def _send(self, op: str, path: str, body: dict[str, Any], number: str | None = None) -> None:
        sent = time.monotonic_ns()
        answer = self.client.post(path, json=body, name=op)
        done = time.monotonic_ns()
        headers = {name.lower(): str(value) for name, value in (answer.headers or {}).items()}
        degraded = headers.get("x-recsvc-degraded")
        status = int(answer.status_code or 0)
        WRITER.write(
            Request(
                trial=CONFIG["trial"],
                t_scheduled=sent,
                t_sent=sent,
                t_done=done,
                stream="load",
                op=op,
                id=number,
                status=status,
                error=_kind_of_error(status, getattr(answer, "error", None)),
                region=headers.get("x-recsvc-region"),
                node=headers.get("x-recsvc-node"),
                model_version=headers.get("x-recsvc-model"),
                degraded=None if degraded is None else degraded == "1",
            )
        )


def _kind_of_error(status: int, error: BaseException | None) -> str | None:
    if status:
        return None if status < 400 else "http"
    words = f"{type(error).__name__} {error}".lower()
    kinds = {"timed out": "timeout", "timeout": "timeout", "refused": "refused", "reset": "reset"}
    return next((kind for word, kind in kinds.items() if word in words), "other")


@events.quit.add_listener  # type: ignore[untyped-decorator]  # locust publishes no type for it
def flush(exit_code: int, **_: object) -> None:
    """Locust is about to end: nothing recorded may be lost."""
    WRITER.flush()
