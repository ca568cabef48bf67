"""HTTP load from one process: closed loop over some connections, or open loop at a rate, counted from the due time.

Run as ``python -m tests.load_generator PLAN``, PLAN being JSON with the fields of `Plan`; prints one JSON document.
It is no part of what it measures: pin it to another core than the server's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path

import httptools
import numpy as np
import uvloop

CONNECTIONS_OPEN_LOOP = 128
NUMBER = "#########"
"""Stands in a request for a number that no other request has."""
_NUMBER = NUMBER.encode()
CONNECT_TRIES, CONNECT_RETRY_S = 50, 0.05
LAST_ANSWERS_S = 2.0


@dataclass(frozen=True)
class Plan:
    """What to ask for. ``requests``: a file of JSON lines ``[path, body]``, asked for in random order; a body that is
    null makes it a GET.

    Closed loop: ``connections`` of them, each asking as soon as it is answered. Open loop: ``rate`` a second, arriving
    as a Poisson process whatever the server does, and latencies count from when a request was due. The first
    ``warm_s`` seconds do not count. ``core`` is the one this process runs on.
    """

    port: int
    requests: str
    seconds: float
    connections: int = 1
    rate: float = 0.0
    warm_s: float = 0.5
    core: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of it: latencies in ms, ``lag_p99_ms`` how late the generator itself sent (0 in a closed loop).

    ``unanswered``: open-loop requests that had no answer two seconds after the end; each counts among the latencies
    with the time it had waited by then, so that a server that drowns does not look fast.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    lag_p99_ms: float
    answered: int
    unanswered: int
    statuses: dict[int, int]
    total: int
    """Every answer, those of the warm-up too."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, generator: Generator) -> None:
        self._generator, self.due_ns = generator, 0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes, due_ns: int) -> None:
        self.due_ns = due_ns
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._generator.answered(self, self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.lost(exc)

    def close(self) -> None:
        self._transport.close()


class Generator:
    """Asks and counts. Latencies are kept for what was answered after the warm-up and before the end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._requests = _http(plan)
        self._random = random.Random(plan.seed)
        self._numbers = itertools.count(plan.seed * 10_000_000)
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._busy: set[Connection] = set()
        self._latencies_ns: list[int] = []
        self._lags_ns: list[int] = []
        self._statuses: Counter[int] = Counter()
        self._from_ns = self._to_ns = 0
        self._counted = self._total = 0
        self._ending = False

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        count = CONNECTIONS_OPEN_LOOP if self.plan.rate else self.plan.connections
        for _ in range(count):
            self._free.append(await self._connect(loop))
        begin_ns = time.monotonic_ns()
        self._from_ns = begin_ns + int(self.plan.warm_s * 1e9)
        self._to_ns = self._from_ns + int(self.plan.seconds * 1e9)
        connections = list(self._free)
        if self.plan.rate:
            clock = threading.Thread(target=self._keep_time, args=(loop, begin_ns), daemon=True)
            clock.start()
            await asyncio.to_thread(clock.join)
            await self._last_answers()
        else:
            while self._free:
                self._next(self._free.popleft())
            await asyncio.sleep((self._to_ns - time.monotonic_ns()) / 1e9)
        self._ending = True
        for connection in connections:
            connection.close()
        return self._outcome()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        for _ in range(CONNECT_TRIES):
            try:
                return (await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.plan.port))[1]
            except ConnectionRefusedError:
                await asyncio.sleep(CONNECT_RETRY_S)
        raise SystemExit(f"nothing listens on port {self.plan.port}")

    def _keep_time(self, loop: asyncio.AbstractEventLoop, begin_ns: int) -> None:
        """Call each arrival in when it is due; a thread, because libuv's timers are only exact to a millisecond."""
        due_ns = float(begin_ns)
        while due_ns < self._to_ns:
            time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            loop.call_soon_threadsafe(self._arrive, int(due_ns))
            due_ns += self._random.expovariate(self.plan.rate) * 1e9

    async def _last_answers(self) -> None:
        end_s = time.monotonic() + LAST_ANSWERS_S
        while (self._waiting or self._busy) and time.monotonic() < end_s:
            await asyncio.sleep(0.01)

    def _arrive(self, due_ns: int) -> None:
        self._lags_ns.append(time.monotonic_ns() - due_ns)
        if self._free:
            self._ask(self._free.popleft(), due_ns)
        else:
            self._waiting.append(due_ns)

    def _ask(self, connection: Connection, due_ns: int) -> None:
        self._busy.add(connection)
        connection.ask(self._drawn(), due_ns)

    def _next(self, connection: Connection) -> None:
        connection.ask(self._drawn(), time.monotonic_ns())

    def _drawn(self) -> bytes:
        request = self._random.choice(self._requests)
        if _NUMBER in request:
            request = request.replace(_NUMBER, b"%09d" % next(self._numbers))
        return request

    def answered(self, connection: Connection, status: int) -> None:
        due_ns, now_ns = connection.due_ns, time.monotonic_ns()
        self._total += 1
        at_ns = due_ns if self.plan.rate else now_ns
        if self._from_ns <= at_ns < self._to_ns:
            self._statuses[status] += 1
            self._latencies_ns.append(now_ns - due_ns)
            self._counted += now_ns < self._to_ns
        if not self.plan.rate:
            if now_ns < self._to_ns:
                self._next(connection)
            return
        self._busy.discard(connection)
        if self._waiting:
            self._ask(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, error: Exception | None) -> None:
        if not self._ending and time.monotonic_ns() < self._to_ns:
            sys.exit(f"the server hung up: {error or 'end of stream'}")

    def _outcome(self) -> Outcome:
        due = (*self._waiting, *(connection.due_ns for connection in self._busy))
        left = [due_ns for due_ns in due if due_ns >= self._from_ns]
        now_ns = time.monotonic_ns()
        waited_ms = np.array([*self._latencies_ns, *(now_ns - due_ns for due_ns in left)] or [0]) / 1e6
        lags_ms = np.array(self._lags_ns or [0]) / 1e6
        return Outcome(
            rate=round(self._counted / self.plan.seconds, 2),
            p50_ms=round(float(np.percentile(waited_ms, 50)), 3),
            p99_ms=round(float(np.percentile(waited_ms, 99)), 3),
            lag_p99_ms=round(float(np.percentile(lags_ms, 99)), 3),
            answered=len(self._latencies_ns),
            unanswered=len(left),
            statuses=dict(self._statuses),
            total=self._total,
        )


def _http(plan: Plan) -> list[bytes]:
    requests = []
    for line in Path(plan.requests).read_text(encoding="utf-8").splitlines():
        path, body = json.loads(line)
        method = "GET" if body is None else "POST"
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        described = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\n{described}\r\n"
        requests.append(head.encode() + content)
    return requests


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    if plan.core is not None:
        os.sched_setaffinity(0, {plan.core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(Generator(plan).run())
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
