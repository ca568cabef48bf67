"""The service's users under Locust: they ask for recommendations, search and send events through the edge.

Locust is closed-loop: a user waits for an answer before the next request, so its latencies flatter a hanging service.
They are recorded for throughput and errors; RTO and latency objectives rest on the open-loop probes.
A surge (drills/surge.py) multiplies the users, each at the pace that everybody has: more of the same users, so that
the offered rate rises without anybody having to be answered faster.
"""

from __future__ import annotations

import itertools
import math
import os
import random
from dataclasses import dataclass
from pathlib import Path

import gevent
import msgspec
from locust import User, constant_throughput, events, task
from locust.env import Environment

from drills import surge
from drills.asking.service import Service
from drills.load import punctual
from drills.load.sender import Answer, Sender
from drills.recording.record import Request, RequestWriter

FLUSH_S = 0.2
FOLLOW_S = 0.1


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What one process of users does; ``mix`` holds shares of the operations that the service has."""

    url: str
    service: Service
    rate: float
    users: int
    mix: dict[str, float]
    trial: int
    out: str
    surges: str
    id_prefix: str
    timeout_s: float
    shoppers: list[str]
    items: list[str]
    queries: list[str]
    seed: int
    k: int


CONFIG = msgspec.json.decode(Path(os.environ["RECDR_LOAD_CONFIG"]).read_bytes(), type=Config)
WRITER = RequestWriter(Path(CONFIG.out))
COUNTER = itertools.count()
RANDOM = random.Random(CONFIG.seed)  # noqa: S311 - which user asks for what needs no secrecy


def _share(op: str) -> int:
    """Locust's weights are whole numbers; per mille is fine enough for any mix."""
    return round(1000 * CONFIG.mix.get(op, 0))


@dataclass
class Crowd:
    """How many users there are to be now, and how often each asks (a second); together they reach the wanted rate."""

    users: int = CONFIG.users
    each_per_s: float = CONFIG.rate / CONFIG.users

    def follow(self, factor: float) -> bool:
        """Be ``factor`` times the drill's load; returns whether that is another number of users."""
        before, self.users = self.users, max(1, math.ceil(CONFIG.users * factor))
        self.each_per_s = CONFIG.rate * factor / self.users
        return self.users != before


CROWD = Crowd()


class Shopper(User):
    """One customer; all of them together reach the wanted rate."""

    host = CONFIG.url
    sender: Sender

    def wait_time(self) -> float:
        """Seconds until this user's next request, counted so that requests begin at the common pace."""
        wait: float = constant_throughput(CROWD.each_per_s)(self)
        return wait

    def on_start(self) -> None:
        """Users do not arrive in step: without this they would all ask in the same moment, for ever."""
        self.sender = Sender(CONFIG.url, CONFIG.timeout_s)
        gevent.sleep(RANDOM.uniform(0, 1 / CROWD.each_per_s))

    @task(_share("recommend"))
    def recommend(self) -> None:
        self._send("recommend")

    @task(_share("search"))
    def search(self) -> None:
        self._send("search")

    @task(_share("event"))
    def event(self) -> None:
        self._send("event")

    def _send(self, op: str) -> None:
        ask = CONFIG.service.ask_of(op)
        assert ask is not None, "the mix holds only what the service has"
        n = next(COUNTER)
        number = f"{CONFIG.id_prefix}-{n}" if op == "event" else None
        values: dict[str, str | int] = {"user": RANDOM.choice(CONFIG.shoppers), "n": n, "k": CONFIG.k}
        values |= {"id": number or "", "prefix": CONFIG.id_prefix}
        values |= {"item": RANDOM.choice(CONFIG.items) if CONFIG.items else ""}
        values |= {"query": RANDOM.choice(CONFIG.queries) if CONFIG.queries else ""}
        answer = self.sender.send(ask.render(**values))
        WRITER.write(_record(op, number, answer))
        # Locust's own summary, which stands in the log of this process.
        took_ms = (answer.t_done - answer.t_sent) / 1e6
        self.environment.events.request.fire(
            request_type=ask.method,
            name=op,
            response_time=took_ms,
            response_length=len(answer.content or b""),
            exception=None if 200 <= answer.status < 300 else RuntimeError(answer.error or f"HTTP {answer.status}"),
            context={},
        )


def _record(op: str, number: str | None, answer: Answer) -> Request:
    """The request as it is recorded; what its answer listed is not, for nobody compares the users' lists."""
    seen = CONFIG.service.seen(op, answer.status, answer.headers, answer.content, CONFIG.k)
    return Request(
        trial=CONFIG.trial,
        t_scheduled=answer.t_sent,
        t_sent=answer.t_sent,
        t_done=answer.t_done,
        stream="load",
        op=op,
        id=number,
        status=answer.status,
        error=answer.error or seen.error,
        region=seen.region,
        node=seen.node,
        model_version=seen.model_version,
        degraded=seen.degraded,
    )


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust publishes no type for it
def begin(environment: Environment, **_: object) -> None:
    """Leave the processors to the probes, let readers follow also while few requests come, and follow surges."""
    punctual.give_way()
    gevent.spawn(_flush_for_ever)
    gevent.spawn(_follow_for_ever, environment)


def _flush_for_ever() -> None:
    while True:
        gevent.sleep(FLUSH_S)
        WRITER.flush()


def _follow_for_ever(environment: Environment) -> None:
    """Have as many users as the surges in force ask for, none where nobody has begun yet."""
    path = Path(CONFIG.surges)
    while True:
        gevent.sleep(FOLLOW_S)
        if CROWD.follow(surge.factor(path)) and environment.runner is not None:
            # All at once: each waits a while of its own before its first request, so they do not come in step.
            environment.runner.start(
                CROWD.users, spawn_rate=max(CROWD.users, CONFIG.users, environment.runner.user_count)
            )


@events.quit.add_listener  # type: ignore[untyped-decorator]  # locust publishes no type for it
def flush(exit_code: int, **_: object) -> None:
    """Locust is about to end: nothing recorded may be lost."""
    WRITER.flush()
