"""Which release of the model serves, and how another one takes its place without a request noticing.

    /model/load ──> loading ──verified, opened, warm──> done: it serves from the next request on
                       └──────anything wrong──────────> refused: what served goes on serving

The old release answers what it was asked before and is closed then. A refused artifact never answers anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from recsvc.release import Opening, Refused, Release

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """See the module's drawing."""

    LOADING = "loading"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True)
class Attempt:
    """What became of an artifact: ``artifact`` is the name of its folder, ``reason`` why it was refused."""

    artifact: str
    outcome: Outcome
    reason: str | None = None


class Rollout:
    """Holds the release that serves. All but ``Opening`` happens in the event loop's own thread."""

    def __init__(self, first: Release, opening: Opening, refused: Attempt | None = None) -> None:
        self.current, self.last = first, refused
        self.counts: Counter[Outcome] = Counter([refused.outcome] if refused else [])
        self._opening = opening
        self._wanted: asyncio.Queue[Path] = asyncio.Queue()

    def document(self) -> dict[str, Any] | None:
        """The last attempt as clients read it; None before the first."""
        return asdict(self.last) if self.last else None

    def start(self, path: Path) -> None:
        """Load the artifact at ``path`` in the background, after those that were asked for before."""
        self.last = Attempt(path.name, Outcome.LOADING)
        self._wanted.put_nowait(path)

    async def run(self) -> None:
        """Load what is asked for until cancelled."""
        while True:
            path = await self._wanted.get()
            self.last = Attempt(path.name, Outcome.LOADING)
            try:
                release = await asyncio.to_thread(self._opening, path, self.current)
            except Refused as error:
                self._ended(Attempt(path.name, Outcome.REFUSED, str(error)))
                continue
            old, self.current = self.current, release
            self._ended(Attempt(path.name, Outcome.DONE))
            if old is not release:
                await old.retire()

    def close(self) -> None:
        self.current.close()

    def _ended(self, attempt: Attempt) -> None:
        self.last = attempt
        self.counts[attempt.outcome] += 1
        log.info("rollout %s", attempt.outcome, extra={"data": {**asdict(attempt), "serving": self.current.version}})
