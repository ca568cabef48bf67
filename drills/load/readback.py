"""After healing: which events of a trial each region has stored, and how often.

Every region is asked by its own door, past the traffic director. A service either lists what it has stored, page by
page, or is asked for each event by its id. What cannot be read is noted as not read back, never as empty.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from drills.asking.http import ask, open_session
from drills.asking.service import Ask, Door, Service, Unreadable, decoded
from drills.errors import TargetError
from drills.recording.record import EventWriter, ReadBack, read_part
from drills.targets.base import REGIONS, Deployment

CATCH_UP_S = 15.0
PAUSE_S = 0.3
CALM_S = 1.0
"""What regions hold must have stood still for this long: one may yet forget what it had when they first agreed."""
TIMEOUT_S = 5.0
TRIES = 3
MAX_PAGES = 100_000
READING_S = 60.0
"""A log that takes longer than this to be read once may as well have no end."""
LOOKED_UP_PER_S = 200
"""Where events are looked up one by one there is as much more time as this many a second take."""
AT_A_TIME = 16
Reading = Counter[str]
"""How often each id stands in a region's log."""


@dataclass
class Log:
    """What is known of one region's log. Times are ns: ``first_read`` when its first whole reading had ended."""

    reading: Reading | None = None
    why: str = ""
    """Why the latest reading failed; empty where it did not."""
    first_read: int = 0
    since: int = 0
    """When the first of the latest readings that were all the same had ended."""
    latest: int = 0
    """When the latest of them had ended."""
    named: frozenset[str] = frozenset()
    """What the answers of the latest reading called the region that they came from."""
    seen: dict[str, int] = field(default_factory=dict)

    def take(self, reading: Reading, seen: dict[str, int], now: int) -> None:
        """Note another whole reading that ended at ``now``."""
        self.first_read = self.first_read or now
        if self.why or reading != self.reading:
            self.since = now
        self.reading, self.why, self.latest = reading, "", now
        for number, when in seen.items():
            self.seen.setdefault(number, when)

    @property
    def calm(self) -> bool:
        """Whether two readings that lie far enough apart, and all between them, were the same."""
        return not self.why and self.latest - self.since >= CALM_S * 1e9


def read_back(
    deployment: Deployment, prefix: str, trial: int, events: EventWriter, parts: Iterable[Path] = ()
) -> list[ReadBack]:
    """One row an event id and region, for ids that begin with ``prefix``; ``parts``: what the clients wrote down.

    Replication may still be catching up when the clients have stopped, so the regions are read until they agree, and
    still do a second later, at most for 15 s. What they differ in then is what was lost, unless a region's log is still
    changing: that one, and one that cannot be read, is noted as not read back. Nothing is noted of a service that
    cannot be read back at all.
    """
    question = deployment.service.read_back
    if question is None:
        return []
    wanted = _attempted(parts, prefix) if question.by_id else []
    reader = _Reader(deployment.service, question, dict(deployment.doors), prefix, wanted)
    logs = asyncio.run(reader.read_until_settled())
    rows = []
    for region, log in logs.items():
        why = log.why or _restless(logs, log)
        if why or log.reading is None:
            events.write("readback.failed", region=region, why=why)
            continue
        events.write("readback.done", region=region, found=len(log.reading), first_read=log.first_read)
        rows += [
            ReadBack(trial=trial, region=region, id=number, count=count, t_seen=log.seen[number])
            for number, count in sorted(log.reading.items())
        ]
    return rows


def _attempted(parts: Iterable[Path], prefix: str) -> list[str]:
    """The ids of all events that were sent, whether or not they were acknowledged."""
    sent = (request.id for part in parts for request in read_part(part) if request.op == "event")
    return sorted({number for number in sent if number is not None and number.startswith(prefix)})


def _restless(logs: dict[str, Log], log: Log) -> str:
    """Why the latest reading of a log is not its last word; empty where it is."""
    if _settled(logs) or time.monotonic_ns() - log.since > CALM_S * 1e9:
        return ""
    return f"its log was still changing after {CATCH_UP_S:.0f} s"


def _agreed(logs: dict[str, Log]) -> bool:
    """Whether all regions hold the same; a single one has nothing to be held against."""
    readings = [None if log.why else log.reading for log in logs.values()]
    return all(reading is not None and reading == readings[0] for reading in readings)


def _settled(logs: dict[str, Log]) -> bool:
    """Whether all regions hold the same and have stood still."""
    return _agreed(logs) and all(log.calm for log in logs.values())


def _tell_apart(logs: dict[str, Log]) -> None:
    """Two doors behind which answers bear the same name lead to one region, so neither shows what its own holds."""
    for (one, log), (other, beside) in itertools.combinations(logs.items(), 2):
        if not log.why and not beside.why and (same := log.named & beside.named):
            log.why = beside.why = f"the doors of {one} and {other} lead to one region: {min(same)!r} answered at both"


@dataclass
class _Reader:
    """Reads the logs of all regions at the same time."""

    service: Service
    question: Ask
    doors: dict[str, Door]
    prefix: str
    wanted: Sequence[str]

    async def read_until_settled(self) -> dict[str, Log]:
        """Read again and again, at least twice: whether a log stands still takes two looks.

        Regions that have only just agreed when the time is up are given the time to stand still.
        """
        logs = {region: Log() for region in self.doors}
        deadline = time.monotonic() + CATCH_UP_S
        for number in itertools.count(1):
            await asyncio.gather(*(self._read(region, log) for region, log in logs.items()))
            _tell_apart(logs)
            failed, agreed = any(log.why for log in logs.values()), _agreed(logs)
            end = deadline + 2 * CALM_S if agreed else deadline
            if _settled(logs) or (time.monotonic() >= end and (number > 1 or failed)):
                break
            await asyncio.sleep(CALM_S if agreed else PAUSE_S)
        return logs

    async def _read(self, region: str, log: Log) -> None:
        """One reading of a region's log, from beginning to end."""
        seen: dict[str, int] = {}
        limit_s = READING_S + len(self.wanted) / LOOKED_UP_PER_S
        try:
            async with asyncio.timeout(limit_s), open_session(TIMEOUT_S, self.doors[region].headers) as session:
                door = _Door(session, self.doors[region].url, region, self)
                reading = await (door.looked_up(seen) if self.question.by_id else door.listed(seen))
                log.named = frozenset(door.named)
        except TimeoutError as error:
            log.why = str(error) or f"no answer within {TIMEOUT_S:.0f} s, or no end of its log within {limit_s:.0f} s"
        except Unreadable as error:
            log.why = error.within("read_back")
        except (TargetError, aiohttp.ClientError, OSError, ValueError) as error:
            log.why = str(error) or type(error).__name__
        else:
            log.take(reading, seen, time.monotonic_ns())


@dataclass
class _Door:
    """One region, as it is reached."""

    session: aiohttp.ClientSession
    url: str
    region: str
    reader: _Reader
    named: set[str] = field(default_factory=set)
    """What its answers call the region that they come from."""

    async def listed(self, seen: dict[str, int]) -> Reading:
        """Page by page, to the end; raises TargetError or Unreadable where that is not reached."""
        question, found, before = self.reader.question, Reading(), set[str]()
        cursor = question.first
        for _ in range(MAX_PAGES):
            status, content = await self._ask({} if cursor is None else {"cursor": cursor})
            if status == 204 and content == b"":
                return found
            if not 200 <= status < 300 or content is None:
                raise TargetError(f"HTTP {status}" if content is not None else "a page is too large")
            document, now = decoded(content), time.monotonic_ns()
            for number in question.listed(document):
                if number.startswith(self.reader.prefix):
                    found[number] += 1
                    seen.setdefault(number, now)
            cursor = question.next_cursor(document)
            if cursor is None:
                return found
            if cursor in before:
                raise TargetError(f"the cursor {cursor[:60]!r} came twice: its pages have no end")
            before.add(cursor)
        raise TargetError(f"its log has more than {MAX_PAGES} pages")

    async def looked_up(self, seen: dict[str, int]) -> Reading:
        """Event by event, some at a time; the first that cannot be told ends the reading.

        One more is asked for that nobody ever sent: a door that has this one, too, says yes to everything.
        """
        never = f"{self.reader.prefix}-N-{secrets.token_hex(4)}"
        if await self._count(never):
            raise TargetError(f"it says that it has stored {never}, an event that nobody sent: a look-up tells nothing")
        found = Reading()
        waiting = iter(self.reader.wanted)

        async def work() -> None:
            for number in waiting:
                if count := await self._count(number):
                    found[number] = count
                    seen[number] = time.monotonic_ns()

        workers = [asyncio.create_task(work()) for _ in range(AT_A_TIME)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return found

    async def _count(self, number: str) -> int:
        """How often the event is stored: 0 for a 404; raises TargetError or Unreadable where that cannot be told."""
        status, content = await self._ask({"id": number})
        if status == 404:
            return 0
        if not 200 <= status < 300 or content is None:
            raise TargetError(f"asked for {number}: " + (f"HTTP {status}" if content is not None else "too large"))
        if self.reader.question.ids is None:
            return 1
        return self.reader.question.listed(decoded(content)).count(number)

    async def _ask(self, values: dict[str, str]) -> tuple[int, bytes | None]:
        """Status and body of an answer; what may be a mishap on the way is tried again."""
        service = self.reader.service
        asked = self.reader.question.render(prefix=self.reader.prefix, **values)
        for attempt in range(1, TRIES + 1):
            try:
                answer, content = await ask(self.session, self.url, asked)
            except (aiohttp.ClientError, OSError):
                if attempt == TRIES:
                    raise
            else:
                if answer.status < 500 or attempt == TRIES:
                    break
            await asyncio.sleep(PAUSE_S)
        said = service.region_of(answer.headers, content)
        if said != self.region and said in REGIONS:
            raise TargetError(f"asked {self.region} for its log, {said} answered")
        if said is not None:
            self.named.add(said)
        return answer.status, content
