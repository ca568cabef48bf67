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
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from drills.asking.http import ask, open_session
from drills.errors import EXIT_USAGE, UsageError
from drills.load import punctual
from drills.load.probes import SECOND, Config, Probe, active_rates, schedules
from drills.recording.record import EventWriter, Request, RequestWriter

START_DELAY_NS = 50_000_000
PARENT_CHECK_S = 0.2
_OWN_FAULT = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)


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
            answer, content = await ask(self.session, self.url, probe.asked)
            done = time.monotonic_ns()
            record = self._answered(probe, sent, done, answer, content)
        except Exception as error:  # what a service under test makes of HTTP knows no bounds
            record = self._record(probe, sent, time.monotonic_ns(), error=kind_of(error))
        self.writer.write(record)

    def _answered(
        self, probe: Probe, sent: int, done: int, answer: aiohttp.ClientResponse, content: bytes | None
    ) -> Request:
        seen = self.config.service.seen(probe.op, answer.status, answer.headers, content, self.config.k)
        expected = probe.question.expected if probe.question and seen.error is None else []
        return self._record(
            probe,
            sent,
            done,
            status=answer.status,
            error=seen.error,
            region=seen.region,
            node=seen.node,
            model_version=seen.model_version,
            degraded=seen.degraded,
            items=seen.items,
            hits=len({*expected} & {*(seen.items or [])}) if expected else None,
            expected=len(expected) or None,
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
    async with open_session(config.timeout_s, config.headers) as session:
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
        print(f"prober: cannot read its configuration: {error}", file=sys.stderr)  # noqa: T201 - nobody else would
        return EXIT_USAGE
    punctual.be_punctual()
    try:
        uvloop.run(probe(config))
    except UsageError as error:
        print(f"prober: {error}", file=sys.stderr)  # noqa: T201 - nobody else would
        return EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
