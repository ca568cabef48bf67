"""The open-loop prober: asks on a fixed schedule, whether or not earlier answers have come, and records all.

    python -m drills.load.prober CONFIG.json

Every stream has its own absolute schedule, so a hanging service cannot hide by slowing its clients down.
A slot that is due while the prober itself is held up is still sent, late, with its lateness on record;
one that could not be sent within the timeout is recorded as not sent. SIGTERM, the end of ``duration_s``
or of ``passes``, or the death of the parent process end it: what is in flight is awaited up to the
timeout, then it exits with 0.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from drills.errors import EXIT_USAGE
from drills.record import EventWriter, Request, RequestWriter

SECOND = 1_000_000_000
DEFAULT_RATES = {"probe_read": 50.0, "probe_write": 50.0, "quality": 20.0}
START_DELAY_NS = 50_000_000
PARENT_CHECK_S = 0.2
# Below the edge's own keep-alive, so that no request meets a connection that the edge is just closing.
KEEP_ALIVE_S = 2.0
_OWN_FAULT = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """A held-out user (``id`` "q<i>") with the items that were left out of the history."""

    id: str
    user: str
    expected: list[str]


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to ask, how often, and where to write what came back."""

    url: str
    out: str
    trial: int = 0
    headers: dict[str, str] = {}
    id_prefix: str = ""
    """Event ids are ``<id_prefix>-<n>``; the prefix must be this prober's alone."""
    rates: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_RATES))
    """Requests a second; a stream that is left out, 0, or has nothing to ask is off."""
    timeout_s: float = 2.0
    probe_users: list[str] = []
    items: list[str] = []
    quality: list[Question] = []
    k: int = 20
    duration_s: float | None = None
    passes: int | None = None
    """Ask only the quality questions, this often each, and end."""
    events: str | None = None
    """``events.jsonl`` to announce the schedule in (``prober.started``, ``prober.stopped``)."""


class Answer(msgspec.Struct):
    """The part of an answer that quality is counted from."""

    items: list[str]


@dataclass(frozen=True)
class Probe:
    """One request to be sent at ``due`` (ns)."""

    due: int
    stream: str
    op: str
    id: str | None
    path: str
    body: bytes
    question: Question | None = None


def active_rates(config: Config) -> dict[str, float]:
    """Requests a second of the streams that are on."""
    active = ["quality"] if config.passes else ["probe_read", "probe_write", "quality"]
    able = {
        "probe_read": bool(config.probe_users),
        "probe_write": bool(config.probe_users and config.items),
        "quality": bool(config.quality),
    }
    return {name: rate for name in active if able[name] and (rate := config.rates.get(name, 0.0)) > 0}


def schedules(config: Config, start: int) -> list[Iterator[Probe]]:
    """The probes of each stream in order of time; offset, so that they do not fall on the same moment."""
    rates = active_rates(config)
    shortest = min((SECOND / rate for rate in rates.values()), default=0.0)
    offsets = {"probe_read": 0.0, "probe_write": 0.5, "quality": 0.25}
    return [
        _stream(config, name, start + round(offsets[name] * shortest), round(SECOND / rate))
        for name, rate in rates.items()
    ]


def _stream(config: Config, stream: str, first: int, interval: int) -> Iterator[Probe]:
    last = config.passes * len(config.quality) if config.passes else None
    number = 0
    while last is None or number < last:
        yield _PROBES[stream](config, first + number * interval, number)
        number += 1


def _read(config: Config, due: int, number: int) -> Probe:
    body = {"user": config.probe_users[number % len(config.probe_users)], "k": config.k}
    return Probe(due, "probe_read", "recommend", None, "/v1/recommend", msgspec.json.encode(body))


def _write(config: Config, due: int, number: int) -> Probe:
    body = {
        "id": f"{config.id_prefix}-{number}",
        "user": config.probe_users[number % len(config.probe_users)],
        "item": config.items[number % len(config.items)],
    }
    return Probe(due, "probe_write", "event", body["id"], "/v1/events", msgspec.json.encode(body))


def _quality(config: Config, due: int, number: int) -> Probe:
    question = config.quality[number % len(config.quality)]
    body = msgspec.json.encode({"user": question.user, "k": config.k})
    return Probe(due, "quality", "recommend", question.id, "/v1/recommend", body, question)


_PROBES = {"probe_read": _read, "probe_write": _write, "quality": _quality}


class Prober:
    """Sends the probes of ``config`` and writes one record for each slot that was due."""

    def __init__(self, config: Config, session: aiohttp.ClientSession, writer: RequestWriter) -> None:
        self.config, self.session, self.writer = config, session, writer
        self.url = config.url.rstrip("/")
        self.give_up_ns = round(config.timeout_s * SECOND)
        self.in_flight: set[asyncio.Task[None]] = set()

    async def run(self, probes: list[Iterator[Probe]], until: int | None) -> None:
        """Send every probe at its time until there are none or ``until`` (ns) is reached, or until cancelled.

        Cancelled late, it still accounts for every slot that was due by then.
        """
        waiting = [(probe.due, position, probe) for position, it in enumerate(probes) if (probe := next(it, None))]
        heapify(waiting)
        try:
            while waiting and (until is None or waiting[0][0] <= until):
                due, position, probe = waiting[0]
                if await _reach(due):
                    self._dispatch(probe)
                    _advance(waiting, position, probes)
        except asyncio.CancelledError:
            stopped = time.monotonic_ns()
            while waiting and waiting[0][0] <= stopped:
                self._not_sent(waiting[0][2])
                _advance(waiting, waiting[0][1], probes)

    async def drain(self) -> None:
        """Wait until every request in flight has been answered or has timed out."""
        if self.in_flight:
            await asyncio.wait(self.in_flight)

    def _dispatch(self, probe: Probe) -> None:
        # So late, an answer says nothing about its slot, and the backlog's burst would disturb the service.
        if time.monotonic_ns() - probe.due > self.give_up_ns:
            self._not_sent(probe)
            return
        task = asyncio.create_task(self._send(probe))
        self.in_flight.add(task)
        task.add_done_callback(self.in_flight.discard)

    def _not_sent(self, probe: Probe) -> None:
        now = time.monotonic_ns()
        self.writer.write(self._record(probe, now, now, error="not_sent"))

    async def _send(self, probe: Probe) -> None:
        sent = time.monotonic_ns()
        try:
            async with self.session.post(self.url + probe.path, data=probe.body) as answer:
                content = await answer.read()
            done = time.monotonic_ns()
            record = self._answered(probe, sent, done, answer, content)
        except (aiohttp.ClientError, OSError) as error:
            record = self._record(probe, sent, time.monotonic_ns(), error=kind_of(error))
        self.writer.write(record)

    def _answered(self, probe: Probe, sent: int, done: int, answer: aiohttp.ClientResponse, content: bytes) -> Request:
        failed = answer.status >= 400
        hits = None if failed or probe.question is None else hits_of(content, probe.question, self.config.k)
        if hits is None and probe.question is not None and not failed:
            return self._record(probe, sent, done, error="unreadable")
        degraded = answer.headers.get("X-Recsvc-Degraded")
        return self._record(
            probe,
            sent,
            done,
            status=answer.status,
            error="http" if failed else None,
            region=answer.headers.get("X-Recsvc-Region"),
            node=answer.headers.get("X-Recsvc-Node"),
            model_version=answer.headers.get("X-Recsvc-Model"),
            degraded=None if degraded is None else degraded == "1",
            hits=hits,
            expected=None if hits is None or probe.question is None else len(probe.question.expected),
        )

    def _record(self, probe: Probe, sent: int, done: int, **seen: Any) -> Request:
        return Request(
            trial=self.config.trial,
            t_scheduled=probe.due,
            t_sent=sent,
            t_done=done,
            stream=probe.stream,
            op=probe.op,
            id=probe.id,
            **seen,
        )


async def _reach(due: int) -> bool:
    """Sleep towards ``due``; whether it has come. Lets others run even in a backlog."""
    await asyncio.sleep(max(0, due - time.monotonic_ns()) / SECOND)
    return time.monotonic_ns() >= due


def _advance(waiting: list[tuple[int, int, Probe]], position: int, probes: list[Iterator[Probe]]) -> None:
    following = next(probes[position], None)
    if following is None:
        heappop(waiting)
    else:
        heapreplace(waiting, (following.due, position, following))


def hits_of(content: bytes, question: Question, k: int) -> int | None:
    """How many left-out items are among the first ``k`` recommended; None where the answer cannot be read."""
    try:
        items = msgspec.json.decode(content, type=Answer).items
    except msgspec.DecodeError:
        return None
    return len(set(items[:k]) & set(question.expected))


def kind_of(error: Exception) -> str:
    """Why no answer came: timeout, refused, reset, unreachable, not_sent (our own fault) or other."""
    if isinstance(error, TimeoutError):
        return "timeout"
    number = error.errno if isinstance(error, OSError) else None
    if number in _OWN_FAULT:
        return "not_sent"
    if number == errno.ECONNREFUSED:
        return "refused"
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "unreachable"
    broken = (
        aiohttp.ServerDisconnectedError,
        aiohttp.ClientPayloadError,
        aiohttp.ClientOSError,
        ConnectionError,
    )
    return "reset" if isinstance(error, broken) else "other"


async def _stop_with_parent(parent: int, main: asyncio.Task[None], writer: RequestWriter) -> None:
    """End when the parent has died (nobody else would), and let readers follow while no answer comes."""
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_CHECK_S)
        writer.flush()
    main.cancel()


async def probe(config: Config) -> None:
    """Run the prober until something ends it; see the module's text."""
    writer = RequestWriter(Path(config.out))
    events = EventWriter(Path(config.events), config.trial) if config.events else None
    start = time.monotonic_ns() + START_DELAY_NS
    until = None if config.duration_s is None else start + round(config.duration_s * SECOND)
    streams = schedules(config, start)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=config.timeout_s),
        headers={"Content-Type": "application/json", **config.headers},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        prober = Prober(config, session, writer)
        main = asyncio.create_task(prober.run(streams, until))
        for stop in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(stop, main.cancel)
        watch = asyncio.create_task(_stop_with_parent(os.getppid(), main, writer))
        if events:
            events.write("prober.started", t=start, rates=active_rates(config), pid=os.getpid())
        with suppress(asyncio.CancelledError):
            await main
        if events:
            events.write("prober.stopped")
        await prober.drain()
        watch.cancel()
    writer.close()


def main(arguments: list[str]) -> int:
    """Entry point: one argument, the path of the configuration."""
    try:
        [path] = arguments
        config = msgspec.json.decode(Path(path).read_bytes(), type=Config)
    except (ValueError, OSError) as error:
        print(f"prober: cannot read its configuration: {error}", file=sys.stderr)  # noqa: T201 - its only message
        return EXIT_USAGE
    uvloop.run(probe(config))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
