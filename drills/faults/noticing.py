"""Whether clients notice a fault: what is odd since, weighed against how often it was so with nothing broken.

Odd is a request that failed, or that a region answered which had never answered that way before. A fault is noticed
only where so many odd ones would come about once in a million times by themselves.
"""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from drills.faults.base import Evidence
from drills.recording.record import PartTail, Request, read_events
from drills.targets.base import EDGE, Deployment
from drills.targets.looking import Look, Way, look, look_often
from drills.undo import RUN_VARIABLE, TRIAL_VARIABLE

BY_CHANCE = 1e-6
LOOKS_BEFORE = 40
LOOK_BEFORE_S = 5.0
READS = ("recommend",)


@dataclass
class Run:
    """Requests in their order: how many there were, how many of them odd, how many odd ones in a row at the end."""

    asked: int = 0
    odd: int = 0
    in_a_row: int = 0

    def add(self, odd: bool) -> None:
        self.asked += 1
        self.odd += odd
        self.in_a_row = self.in_a_row + 1 if odd else 0

    @property
    def rate(self) -> float:
        """The share of odd ones to expect of the next: Laplace's rule of succession, so never 0."""
        return (self.odd + 1) / (self.asked + 2)

    def stands_out(self, rate: float) -> bool:
        """Whether the last one is odd, and so many of all, or in a row, do not come by chance where ``rate`` are."""
        if not self.in_a_row:
            return False
        return min(_chance(self.in_a_row, self.in_a_row, rate), _chance(self.odd, self.asked, rate)) < BY_CHANCE


def _chance(odd: int, asked: int, rate: float) -> float:
    """At least ``odd`` of ``asked`` where each is odd with ``rate``: Chernoff's upper bound by relative entropy."""
    share = odd / asked
    if share <= rate:
        return 1.0
    entropy = share * math.log(share / rate)
    if share < 1:
        entropy += (1 - share) * math.log((1 - share) / (1 - rate))
    return math.exp(-asked * entropy)


@dataclass
class Kind:
    """What is known of one way by one witness: failures before and since, answers by regions unknown there since."""

    failed_before: Run = field(default_factory=Run)
    failed: Run = field(default_factory=Run)
    moved: Run = field(default_factory=Run)
    last: Look = field(default_factory=lambda: Look(None))


class Noticing:
    """Looks by every way in with reads, and takes over what the trial's own prober saw: it writes nothing itself."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._kinds: dict[tuple[Way, str], Kind] = defaultdict(Kind)
        self._regions: dict[Way, dict[str, int]] = defaultdict(dict)
        self._prober = _prober()
        self._since = 0

    def look_before(self, times: int = LOOKS_BEFORE) -> list[Way]:
        """See how it is with nothing broken, for 5 s at most; returns the ways that mostly failed."""
        fault_began = _first_fault_ns()
        deadline = time.monotonic() + LOOK_BEFORE_S
        for looks in look_often(self._deployment, READS, times):
            for way, seen in looks.items():
                self._before(way, "looks", seen)
            if time.monotonic() > deadline:
                break
        for request in self._prober.new_requests() if self._prober else ():
            if fault_began is None or request.t_sent < fault_began:
                self._before(_way(request), "prober", _look(request))
        self._since = time.monotonic_ns()
        return [way for way, failed in self._by_way() if 2 * failed.odd > failed.asked]

    def notice(self) -> Evidence:
        """Look once more by every way, and judge all that was seen since ``look_before``."""
        for way, seen in look(self._deployment, READS).items():
            self._now(way, "looks", seen)
        for request in self._prober.new_requests() if self._prober else ():
            if request.t_sent >= self._since:
                self._now(_way(request), "prober", _look(request))
        for (way, _), kind in self._kinds.items():
            if kind.failed_before.asked and kind.failed.stands_out(kind.failed_before.rate):
                return Evidence(True, f"{way} failed: {kind.last.error} ({_more(kind)})")
            known = self._regions[way]
            if kind.moved.stands_out(1 / (sum(known.values()) + 2)):
                by = ", ".join(sorted(known))
                return Evidence(True, f"{way} is answered by {kind.last.region}, before only by {by}")
        return Evidence(False, "every read and write is answered as before, through the edge and by each region's door")

    def _by_way(self) -> Iterator[tuple[Way, Run]]:
        return ((way, kind.failed_before) for (way, _), kind in self._kinds.items())

    def _before(self, way: Way, witness: str, seen: Look) -> None:
        self._kinds[way, witness].failed_before.add(seen.error is not None)
        if seen.region and not seen.error:
            self._regions[way][seen.region] = self._regions[way].get(seen.region, 0) + 1

    def _now(self, way: Way, witness: str, seen: Look) -> None:
        kind = self._kinds[way, witness]
        kind.last = seen
        kind.failed.add(seen.error is not None)
        if self._regions[way] and seen.region and not seen.error:
            kind.moved.add(seen.region not in self._regions[way])


def _more(kind: Kind) -> str:
    now, before = kind.failed, kind.failed_before
    return f"{now.odd} of {now.asked}, {before.odd} of {before.asked} before"


def _way(request: Request) -> Way:
    return Way(EDGE, request.op)


def _look(request: Request) -> Look:
    error = None if request.ok else f"HTTP {request.status}" if request.error == "http" else request.error or "failed"
    return Look(error, request.region)


def _prober() -> PartTail | None:
    """What the trial's prober writes down; None under a plain ``chaos run``, where there is none."""
    run, trial = os.environ.get(RUN_VARIABLE), os.environ.get(TRIAL_VARIABLE)
    return PartTail(Path(run) / "parts" / f"{trial}-prober.part") if run and trial else None


def _first_fault_ns() -> int | None:
    """When the trial's first fault was about to be injected; None where none was: later on nothing is as usual."""
    run, trial = os.environ.get(RUN_VARIABLE), os.environ.get(TRIAL_VARIABLE)
    events = read_events(Path(run) / "events.jsonl") if run and trial else []
    return next((e.t for e in events if e.kind == "fault.intent" and str(e.trial) == trial), None)
