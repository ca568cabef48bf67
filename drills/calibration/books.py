"""The scripted server's own books: what it really did and when, kept apart from anything that is being calibrated.

Times are ``CLOCK_MONOTONIC`` nanoseconds, read by the server itself.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from drills.recording.record import lines

SECOND = 1_000_000_000
Manner = Literal[
    "bright", "holds", "drops", "refuses", "errors", "slow", "degraded", "loses", "doubles", "hides", "delays", "splits"
]


class Stretch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A time in which the server behaves in one manner.

    bright: answers at once. holds, drops, refuses: dark (answers all at its return, never, or resets connections).
    errors: 503. slow: answers after ``delay_s``. degraded: lists without hits. Of the writes alone: loses
    (acknowledged, not stored in ``regions``), doubles (stored there twice), hides (stored, answered with 503),
    delays (shown by ``regions`` only some time after they were first asked), splits (the regions acknowledge in turn).
    """

    manner: Manner = "bright"
    seconds: float = 0.0
    every: int = 1
    """It concerns the first of every so many requests of a stream."""
    regions: tuple[str, ...] = ()
    delay_s: float = 0.6


class Served(msgspec.Struct, tag="served", kw_only=True):
    """One request as the server saw it; ``status`` 0 and no ``t_answered``: it never answered."""

    t_arrived: int
    t_answered: int | None = None
    stream: str
    id: str | None = None
    status: int = 0
    region: str = "primary"
    hits: int = 0
    copies: dict[str, int] = {}
    """Of a write: how often each region has stored it."""
    delayed: bool = False
    """A region shows this write later than it should."""

    @property
    def ok(self) -> bool:
        return self.status == 200


class Stall(msgspec.Struct, tag="stall"):
    """The server itself was held up for ``ns`` from ``t`` on."""

    t: int
    ns: int


Entry = Served | Stall


class Edges(msgspec.Struct, frozen=True):
    """When each stretch of a script really began, and the whole ended; how late the server was there at most (ns)."""

    t: list[int]
    late_ns: int

    @property
    def begin(self) -> int:
        return self.t[0]

    @property
    def end(self) -> int:
        return self.t[-1]


@dataclass(frozen=True)
class Books:
    """The entries of one trial in order of arrival; ``edges``: its script as performed; it ended at ``until`` (ns)."""

    served: list[Served]
    stalls: list[Stall]
    edges: Edges
    until: int

    @cached_property
    def since(self) -> list[Served]:
        """What arrived from the script's begin on."""
        return [s for s in self.served if s.t_arrived >= self.edges.begin]

    @cached_property
    def acting(self) -> list[Served]:
        """What arrived while the script was being performed."""
        return [s for s in self.since if s.t_arrived < self.edges.end]

    @property
    def stalled_ns(self) -> int:
        """The longest time that the server itself was held up."""
        return max((stall.ns for stall in self.stalls), default=0)

    def of(self, *streams: str) -> list[Served]:
        """What arrived of these streams since the script's begin."""
        return [s for s in self.since if s.stream in streams]

    def writes(self) -> list[Served]:
        """All writes of the trial, before its script too."""
        return [s for s in self.served if s.stream == "probe_write"]


def read(path: Path) -> list[Entry]:
    """What the server wrote down, in order of arrival."""
    decoder = msgspec.json.Decoder(Entry)
    return sorted((decoder.decode(line) for line in lines(path)), key=_moment)


def between(entries: list[Entry], edges: Edges, since: int, until: int) -> Books:
    """The part of the books that arrived from ``since`` and before ``until``."""
    part = entries[bisect_left(entries, since, key=_moment) : bisect_left(entries, until, key=_moment)]
    served = [entry for entry in part if isinstance(entry, Served)]
    return Books(served, [entry for entry in part if isinstance(entry, Stall)], edges, until)


def _moment(entry: Entry) -> int:
    return entry.t_arrived if isinstance(entry, Served) else entry.t
