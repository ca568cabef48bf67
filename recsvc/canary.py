"""A node asks itself for a few held-out users, every now and then, and tells how good its answers are.

Health checks see that a node answers; nobody but the canary sees that it answers well: with the right model, the right
histories, in the right order. The users and what a good answer contains come with the bundle. It goes the way of a
request from the store's history to the ranking, waits while others wait, and writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from recsvc.bundle import Bundle

log = logging.getLogger(__name__)

K = 20
USERS_A_ROUND = 8
WINDOW = 256
"""So many of the last users make up what is published: 32 rounds."""


@dataclass(frozen=True)
class Asked:
    """What came back for a user: ``items`` best first; ``seen``: what the user has dealt with already."""

    items: Sequence[str]
    seen: frozenset[str]


Ask = Callable[[str, int], Awaitable[Asked | None]]
"""The real path for a user and k; None where it could not say."""


class Canary:
    """``recall`` is the mean over the window's users of hits / expected at most k; None before the first answer."""

    def __init__(self, ask: Ask, bundle: Callable[[], Bundle], busy: Callable[[], bool], period_s: float) -> None:
        self._ask, self._bundle, self._busy, self.period_s = ask, bundle, busy, period_s
        self._recalls: deque[float] = deque(maxlen=WINDOW)
        self._version, self._next = "", 0
        self.asked_s: float | None = None
        """When the last round that got an answer ended, as wall time: what Prometheus compares with its time()."""
        self.skipped = 0

    @property
    def recall(self) -> float | None:
        return sum(self._recalls) / len(self._recalls) if self._recalls else None

    @property
    def users(self) -> int:
        return len(self._recalls)

    async def run(self) -> None:
        """Ask round after round until cancelled."""
        while self.period_s > 0:
            await asyncio.sleep(self.period_s)
            try:
                await self.round()
            except Exception:  # what watches must not end what it watches
                log.exception("the canary failed")

    async def round(self) -> None:
        """Ask for the next few users; none while requests wait for the model."""
        bundle = self._bundle()
        if bundle.version != self._version:
            self._version = bundle.version
            self._recalls.clear()
        users, answered = bundle.evaluation.users, False
        for _ in range(min(USERS_A_ROUND, len(users))):
            if self._busy():
                self.skipped += 1
                break
            user = users[self._next % len(users)]
            self._next += 1
            answered |= await self._ask_for(user, bundle)
        if answered:
            self.asked_s = time.time()

    async def _ask_for(self, user: str, bundle: Bundle) -> bool:
        """Whether the user was answered."""
        asked = await self._ask(user, K)
        if asked is None:
            return False
        # What the user has taken up since is masked, and would count as a miss.
        expected = set(bundle.evaluation.expected[user]) - asked.seen
        if expected and bundle.version == self._bundle().version:
            self._recalls.append(len(expected.intersection(asked.items)) / min(len(expected), K))
        return True
