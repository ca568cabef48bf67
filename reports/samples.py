"""How nodes and stores were while a trial went on, from its ``nodes.seen`` events.

Whatever was not seen is a hole: a node that did not answer says nothing of its accelerator, and two stores of which one
was not seen are no distance apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from drills.recording.record import Event
from reports import cleaning
from reports.columns import Floats
from reports.happenings import Clock

KIND = "nodes.seen"
STATES = ("ok", "degraded", "recovering")
NO_ANSWER = "no answer"
MOST_NODES = 16
_HOLE_S = 3.0
"""Farther apart than this, two samples say nothing about the time between them: asking takes a second at most."""
_POINTS = 600


@dataclass(frozen=True)
class Stretch:
    """A time in which a node was seen in one state: one of ``STATES`` or NO_ANSWER; seconds on the trial's axis."""

    begin_s: float
    end_s: float
    state: str


@dataclass(frozen=True)
class Node:
    """``accelerator`` is what it is to compute on, as it says itself; empty where it never answered."""

    name: str
    accelerator: str
    stretches: tuple[Stretch, ...]

    def seconds(self, state: str) -> float:
        """How long it was seen in a state."""
        return sum(s.end_s - s.begin_s for s in self.stretches if s.state == state)


@dataclass(frozen=True)
class Lag:
    """How far the replica was behind its master at ``t_s``, in ``bytes`` and ``seconds`` of writing; NaN: not seen.

    ``linked``: whether the replica heard from its master then. All of one length [n].
    """

    t_s: Floats
    bytes: Floats
    seconds: Floats
    linked: tuple[bool, ...]

    def worst_s(self, since_s: float, until_s: float) -> float | None:
        """The most seconds behind in a stretch of time; None where nothing was seen in it."""
        own = self.seconds[(self.t_s >= since_s) & (self.t_s < until_s)]
        own = own[~np.isnan(own)]
        return float(own.max()) if len(own) else None


@dataclass(frozen=True)
class Samples:
    """``more_nodes``: how many were seen beyond those listed. ``lag`` is None where no replica ever was seen."""

    nodes: tuple[Node, ...] = ()
    more_nodes: int = 0
    lag: Lag | None = None


@dataclass(frozen=True)
class _Sample:
    t_s: float
    until_s: float
    nodes: dict[str, Any]
    stores: dict[str, Any]


def samples(events: Iterable[Event], at: Clock) -> Samples:
    """What the trial's own events say; all empty where nobody looked."""
    found = _each(events, at)
    names = list(dict.fromkeys(name for sample in found for name in sample.nodes))
    return Samples(
        nodes=tuple(_node(name, found) for name in names[:MOST_NODES]),
        more_nodes=max(0, len(names) - MOST_NODES),
        lag=_lag(found),
    )


def _each(events: Iterable[Event], at: Clock) -> list[_Sample]:
    """The samples in time order, each good until the next one."""
    own = [event for event in events if event.kind == KIND and at.start <= event.t <= at.end]
    times = [at.s(event.t) for event in own]
    if not times:
        return []
    steps = sorted(b - a for a, b in pairwise(times))
    usual = steps[len(steps) // 2] if steps else 0.0
    untils = [b if b - a <= _HOLE_S else a + usual for a, b in zip(times, [*times[1:], np.inf], strict=True)]
    return [
        _Sample(
            t_s=t_s,
            until_s=min(until, at.s(at.end)),
            nodes=cleaning.mapping(cleaning.tree(event.data.get("nodes"))),
            stores=cleaning.mapping(cleaning.tree(event.data.get("stores"))),
        )
        for event, t_s, until in zip(own, times, untils, strict=True)
    ]


def _node(name: str, found: list[_Sample]) -> Node:
    accelerator, stretches = "", list[Stretch]()
    for sample in found:
        if name not in sample.nodes:
            continue
        said = cleaning.mapping(sample.nodes[name])
        accelerator = cleaning.text(said.get("accelerator")) or accelerator
        state = said.get("state") if said else NO_ANSWER
        if state not in (*STATES, NO_ANSWER):
            continue
        last = stretches[-1] if stretches else None
        if last is not None and last.state == state and last.end_s == sample.t_s:
            stretches[-1] = Stretch(last.begin_s, sample.until_s, state)
        else:
            stretches.append(Stretch(sample.t_s, sample.until_s, state))
    return Node(name, accelerator, tuple(stretches))


def _lag(found: list[_Sample]) -> Lag | None:
    """Two masters, or a store that was not seen, leave a hole: their offsets are not of one stream."""
    behind, seconds = np.full(len(found), np.nan), np.full(len(found), np.nan)
    linked, wrote = [], _Wrote()
    for i, sample in enumerate(found):
        masters, replicas = _offsets(sample, "master"), _offsets(sample, "slave")
        (master, offset) = next(iter(masters.items())) if len(masters) == 1 else ("", 0.0)
        wrote.saw(master, sample.t_s, offset)
        linked.append(all(cleaning.mapping(sample.stores[region]).get("linked") is True for region in replicas))
        if master and replicas:
            # Each is some hundredths of a second old, so a replica can seem to be ahead.
            behind[i] = max(0.0, offset - min(replicas.values()))
            seconds[i] = wrote.since(offset - behind[i])
    if np.isnan(behind).all():
        return None
    keep = _worst_of_each(behind, -(-len(found) // _POINTS))
    times = np.array([sample.t_s for sample in found])
    return Lag(times[keep], behind[keep], seconds[keep], tuple(linked[i] for i in keep))


def _offsets(sample: _Sample, role: str) -> dict[str, float]:
    said = {region: cleaning.mapping(raw) for region, raw in sample.stores.items()}
    own = {region: cleaning.number(store.get("offset")) for region, store in said.items() if store.get("role") == role}
    return {region: offset for region, offset in own.items() if offset is not None}


class _Wrote:
    """How far one master had come when: turns bytes into the seconds in which they were written."""

    def __init__(self) -> None:
        self._master, self._times, self._offsets = "", list[float](), list[float]()

    def saw(self, master: str, t_s: float, offset: float) -> None:
        if master != self._master or (self._offsets and offset < self._offsets[-1]):
            self._master, self._times, self._offsets = master, [], []
        self._times.append(t_s)
        self._offsets.append(offset)

    def since(self, offset: float) -> float:
        """Seconds since it had come just so far; NaN where that was before it was first seen."""
        if offset < self._offsets[0]:
            return float("nan")
        return float(self._times[-1] - np.interp(offset, self._offsets, self._times))


def _worst_of_each(values: Floats, group: int) -> list[int]:
    """The place of the highest value in each ``group`` values: no spike is lost."""
    known = np.where(np.isnan(values), -np.inf, values)
    return [start + int(known[start : start + group].argmax()) for start in range(0, len(values), group)]
