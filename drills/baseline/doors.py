"""Every evaluation user's list from each region itself, asked through its own door with nothing broken."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from drills.asking.http import ask, open_session
from drills.asking.service import HTTP, Asked, Door, Service
from drills.load.audience import Audience
from drills.targets.base import Deployment

AT_A_TIME = 8
TRIES = 2
Progress = Callable[[str, float | None, float | None], None]


@dataclass
class Answers:
    """What the doors gave: region -> question -> ids; and, as sentences, what they did not give."""

    regions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)


def ask_regions(deployment: Deployment, audience: Audience, k: int, timeout_s: float, progress: Progress) -> Answers:
    """Ask each region that has a door for the first ``k`` items of every evaluation user.

    A region that answers none is left out. Answers that say that another region gave them do not count.
    """
    service, found = deployment.service, Answers()
    if service.read is None or service.read.ids is None or not audience.evaluation:
        return found
    for region, door in sorted(deployment.doors.items()):
        asking = _Asking(region, door, service, k, timeout_s)
        asyncio.run(asking.run([(str(one["id"]), str(one["user"])) for one in audience.evaluation], progress))
        if asking.lists:
            found.regions[region] = {
                str(one["id"]): asking.lists[one["id"]] for one in audience.evaluation if one["id"] in asking.lists
            }
        if asking.failures:
            total = len(audience.evaluation)
            why = ", ".join(f"{kind} {count}" for kind, count in sorted(asking.failures.items()))
            found.gaps.append(
                f"The door of {region} gave {len(asking.lists)} of {total} evaluation users a list ({why})."
            )
    return found


@dataclass
class _Asking:
    region: str
    door: Door
    service: Service
    k: int
    timeout_s: float
    lists: dict[str, list[str]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    async def run(self, questions: list[tuple[str, str]], progress: Progress) -> None:
        assert self.service.read is not None
        gate, done = asyncio.Semaphore(AT_A_TIME), 0

        async def one(name: str, request: Asked) -> None:
            nonlocal done
            async with gate:
                if failure := await self._ask(session, name, request):
                    self.failures[failure] += 1
            done += 1
            progress(f"asking {self.region} for every evaluation user's list", done, len(questions))

        async with open_session(self.timeout_s, self.door.headers) as session:
            read = self.service.read
            await asyncio.gather(*(one(name, read.render(user=user, k=self.k, n=0)) for name, user in questions))

    async def _ask(self, session: aiohttp.ClientSession, name: str, request: Asked) -> str | None:
        """Ask once, and once more if that failed; why there is no list, or None."""
        failure: str | None = None
        for _ in range(TRIES):
            try:
                answer, content = await ask(session, self.door.url.rstrip("/"), request)
            except (aiohttp.ClientError, OSError) as error:
                failure = "no answer" if not isinstance(error, TimeoutError) else "timeout"
                continue
            seen = self.service.seen("recommend", answer.status, answer.headers, content, self.k)
            failure = f"http {answer.status}" if seen.error == HTTP else seen.error
            if failure is None and seen.region not in (None, self.region):
                failure = f"answered by {seen.region}"
            if failure is None and seen.items is not None:
                self.lists[name] = seen.items
                return None
        return failure or "no list"
