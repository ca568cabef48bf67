"""Keeps a node's view of the store, the replica and the Sentinels fresh; `recsvc.fence` decides from it.

Four small loops, each asking one thing every 50 ms over a connection of its own, so that a hung peer delays
only what it was asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recsvc.fence import Decision, Replication, View, Word, acknowledged_copies, decide, parse_master
from recsvc.resp import Link, ReplyError, StoreUnavailable
from recsvc.state import SEEDED

log = logging.getLogger(__name__)

PERIOD_S = 0.05
ANSWER_S = 0.25
HEARTBEAT_WAIT_MS = 100
READY_VALID_NS = 500_000_000


@dataclass(frozen=True)
class Place:
    """Where this node stands. ``store`` is its store's address as the Sentinels know it."""

    node: str
    store: tuple[str, int]
    master_name: str
    mode: Replication


@dataclass(frozen=True)
class Copied:
    """How far the store is in the stream of what was written, in bytes; a replica's stream is its master's.

    ``offset`` is None where it is not known. ``linked``: whether a replica hears from its master; None for a master.
    One that does not hear has what it had before: Valkey itself says nothing then.
    ``lag_bytes``: how far behind its slowest replica last said to be; None for a replica, or without one.
    """

    offset: int | None = None
    linked: bool | None = None
    lag_bytes: int | None = None

    def saw(self, role: list[Any]) -> Copied:
        """Fold in an answer to ROLE."""
        if role[0] == b"master":
            behind = [role[1] - int(offset) for _, _, offset in role[2]]
            return Copied(role[1], lag_bytes=max(0, *behind) if behind else None)
        if role[0] != b"slave":
            return Copied()
        known = role[4] if role[4] >= 0 else self.offset if self.linked is not None else None
        return Copied(known, role[3] == b"connected")


class Watch:
    """The node's eyes. ``view`` is replaced, never changed, so that a decision sees one consistent state."""

    def __init__(self, place: Place, store: Link, heartbeat: Link, sentinels: Mapping[str, Link]) -> None:
        self.place, self.view, self.seeded = place, View(), False
        self.copied = Copied()
        self._store, self._heartbeat, self._sentinels = store, heartbeat, sentinels
        self._ready_ns = 0
        self._reported: tuple[str | None, str] | None = None

    def decision(self) -> Decision:
        """What would become of an event posted now."""
        return decide(self.view, self.place.mode, time.monotonic_ns())

    def acknowledged_copies(self, confirmed_by: int) -> int | None:
        """On how many copies an event that the store has just taken is acknowledged; None: it is not."""
        return acknowledged_copies(self.view, self.place.mode, confirmed_by, time.monotonic_ns())

    def copies_possible(self) -> int:
        """On how many copies an event posted now would be acknowledged; 0 when it would not be."""
        if not self.decision().writable:
            return 0
        replicated = self.place.mode is not Replication.ASYNC and self.view.replica_fresh(time.monotonic_ns())
        return 2 if replicated else 1

    def replication_lag_s(self) -> float | None:
        """Age of the newest heartbeat that a replica confirmed, with up to 0.05 s of it the heartbeats' own period.

        None on a replica, and on a master that none has confirmed anything to.
        """
        if self.view.role != "master" or not self.view.replica_confirmed_ns:
            return None
        return (time.monotonic_ns() - self.view.replica_confirmed_ns) / 1e9

    def store_ready(self) -> bool:
        """Whether the store has just answered a command that needs its data, and its connection is still there."""
        return self._store.up and time.monotonic_ns() - self._ready_ns <= READY_VALID_NS

    async def run(self) -> None:
        """Look around until cancelled."""
        heard = {"own": self._heard_own, "witness": self._heard_witness}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_repeat(self._look_at_store))
            tasks.create_task(_repeat(self._beat))
            for name, link in self._sentinels.items():
                if name in heard:
                    tasks.create_task(_repeat(self._asker(link, heard[name])))

    async def _look_at_store(self) -> None:
        asked_ns = time.monotonic_ns()
        try:
            role, seeded = await self._store.ask(("ROLE",), ("EXISTS", SEEDED), timeout_s=ANSWER_S)
        except StoreUnavailable:
            self.copied = Copied()  # it may have been started again, with nothing of what it had
            raise
        if not isinstance(seeded, ReplyError):  # ROLE is answered even while loading, EXISTS is not
            self._ready_ns, self.seeded = asked_ns, bool(seeded)
        if isinstance(role, ReplyError):
            raise role
        name = role[0].decode()
        self.copied = self.copied.saw(role)
        self.view = self.view.saw_role(name, len(role[2]) if name == "master" else 0, asked_ns)
        self._report()

    async def _beat(self) -> None:
        if self.view.role != "master" or self.view.replicas == 0:
            return
        sent_ns = time.monotonic_ns()
        written, replicas = await self._heartbeat.ask(
            ("SET", f"recdr:heartbeat:{self.place.node}", sent_ns),
            ("WAIT", 1, HEARTBEAT_WAIT_MS),
            timeout_s=ANSWER_S,
        )
        # Only WAIT's own answer says something about the replica; a store that does not answer says nothing.
        if not isinstance(written, ReplyError) and isinstance(replicas, int):
            self.view = self.view.saw_heartbeat(sent_ns, replicas >= 1)

    def _asker(self, link: Link, heard: Callable[[Word], None]) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            asked_ns = time.monotonic_ns()
            master = _text(await link.call("SENTINEL", "MASTER", self.place.master_name, timeout_s=ANSWER_S))
            replicas = []
            if any("failover_in_progress" in field for field in master):
                reply = await link.call("SENTINEL", "REPLICAS", self.place.master_name, timeout_s=ANSWER_S)
                replicas = [_text(replica) for replica in reply]
            heard(parse_master(master, replicas, self.place.store, asked_ns, time.monotonic_ns()))

        return ask

    def _heard_own(self, word: Word) -> None:
        self.view = self.view.heard_own(word)

    def _heard_witness(self, word: Word) -> None:
        self.view = self.view.heard_witness(word)

    def _report(self) -> None:
        decision = self.decision()
        now = (self.view.role, decision.verdict.value)
        if now != self._reported:
            self._reported = now
            data = {"role": now[0], "verdict": now[1], "reason": decision.reason}
            log.info("store view changed", extra={"data": data})


async def _repeat(step: Callable[[], Awaitable[None]]) -> None:
    """Do it every 50 ms; silence and refusals are not errors here: the view simply gets old."""
    while True:
        try:
            await step()
        except (StoreUnavailable, ReplyError):
            pass
        except (KeyError, ValueError):
            log.exception("an answer of an unexpected shape")
        await asyncio.sleep(PERIOD_S)


def _text(fields: list[Any]) -> list[str]:
    return [field.decode() for field in fields]
