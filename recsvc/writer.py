"""Group commit: all that waits to be stored goes out in one pipeline, closed by one WAIT for the whole.

One writer a node, one pipeline in flight: while the replica confirms one group, the next one gathers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

from recsvc.fence import Decision, Verdict
from recsvc.resp import Link, ReplyError, StoreUnavailable
from recsvc.state import Event
from recsvc.watch import Watch

log = logging.getLogger(__name__)

MAX_GROUP = 256
MAX_QUEUE = 1024
WAIT_MS = 200
ANSWER_S = 0.35
"""Longer than WAIT_MS plus the store's own work; then the store is taken to hang."""


@dataclass(frozen=True)
class Acknowledged:
    """An event that is safe on ``copies`` stores; ``duplicate``: it had been stored before."""

    copies: int
    duplicate: bool


class NotAcknowledged(Exception):  # noqa: N818 - an outcome, and the API's own word
    """``stored``: True it is in the local store, False it is certainly not, None unknown."""

    def __init__(self, reason: str, *, stored: bool | None) -> None:
        super().__init__(reason)
        self.stored = stored


class QueueFull(Exception):  # noqa: N818 - a state, not an error of the caller's
    """Too many events wait to be stored."""


class IdReused(Exception):  # noqa: N818 - the client's mistake, named as the answer names it
    """The id was given to a different event before."""


_Waiting = tuple[Event, asyncio.Future[Acknowledged]]


class Writer:
    """Stores events through one connection of its own, which WAIT needs."""

    def __init__(self, link: Link, watch: Watch) -> None:
        self._link, self._watch = link, watch
        self._queue: deque[_Waiting] = deque()
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def store(self, event: Event) -> Acknowledged:
        """Store an event and return when it is acknowledged; a retry of a stored id stores nothing again.

        Raises `NotAcknowledged` (after about 0.8 s at most), `QueueFull` or `IdReused`.
        """
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        if len(self._queue) >= MAX_QUEUE:
            raise QueueFull
        future: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        self._queue.append((event, future))
        self._filled.set()
        return await future

    def _refusal(self) -> NotAcknowledged | None:
        decision = self._watch.decision()
        return NotAcknowledged(decision.reason, stored=False) if decision.verdict is Verdict.REFUSE else None

    async def run(self) -> None:
        """Commit group after group until cancelled."""
        while True:
            await self._filled.wait()
            group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
            if not self._queue:
                self._filled.clear()
            try:
                await self._commit(group)
            except Exception as error:  # one strange answer must not end all writing
                log.exception("a group of events failed")
                _fail(group, f"The node failed: {error}", stored=None)

    async def _commit(self, group: list[_Waiting]) -> None:
        decision = self._watch.decision()
        if decision.verdict is Verdict.REFUSE:
            return _fail(group, decision.reason, stored=False)
        try:
            results, confirmed_by = await self._send([event for event, _ in group], decision)
        except StoreUnavailable as error:
            self._link.drop()
            stored = None if error.sent else False
            return _fail(group, f"The region's store: {error}.", stored=stored)
        copies = self._watch.acknowledged_copies(confirmed_by)
        for (_, future), result in zip(group, results, strict=True):
            _settle(future, result, copies, self._watch.decision().reason)
        return None

    async def _send(self, events: list[Event], decision: Decision) -> tuple[list[Any], int]:
        """Return the script's result for each event and how many replicas confirmed them all."""
        replies = await self._ask(events, decision, with_source=False)
        if any(_is_noscript(reply) for reply in replies):  # a new store, or SCRIPT FLUSH
            replies = await self._ask(events, decision, with_source=True)
        if not decision.waits:
            return replies, 0
        confirmed_by = replies.pop()
        return replies, confirmed_by if isinstance(confirmed_by, int) else 0

    async def _ask(self, events: list[Event], decision: Decision, *, with_source: bool) -> list[Any]:
        commands = [event.command(with_source=with_source) for event in events]
        if decision.waits:
            commands.append(("WAIT", 1, WAIT_MS))
        return await self._link.ask(*commands, timeout_s=ANSWER_S)


def _is_noscript(reply: Any) -> bool:
    return isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT")


def _settle(future: asyncio.Future[Acknowledged], result: Any, copies: int | None, reason: str) -> None:
    if future.done():  # the client went away
        return
    if isinstance(result, ReplyError):
        future.set_exception(NotAcknowledged(f"The region's store refused: {result}", stored=False))
    elif result == -1:
        future.set_exception(IdReused())
    elif copies is None:
        future.set_exception(NotAcknowledged(reason, stored=True))
    else:
        future.set_result(Acknowledged(copies, duplicate=result == 0))


def _fail(group: list[_Waiting], reason: str, *, stored: bool | None) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(NotAcknowledged(reason, stored=stored))
