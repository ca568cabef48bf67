"""What a trial's faults take away, worked out from their arguments: the part of a prediction that is no arithmetic.

The primary's store is the master when a trial begins (a target is reset before each), and the edge watches everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

EDGE = "edge"
HOME = "primary"
AWAY = "standby"
STORE = "store"
KEEP_SERVING = frozenset({"gpu_loss", "gpu_slow", "model_corrupt", "model_stale", "noop", "load_surge"})
"""Faults that leave all nodes and stores where they are, unless they restart one."""
FROZEN_BY = frozenset({"STOP", "TSTP", "TTIN", "TTOU"})

Fault = tuple[str, Mapping[str, Any]]
"""A fault's name with its arguments."""


@dataclass(frozen=True)
class Outage:
    """Who is gone, as the edge and the stores see it.

    ``refusing`` nodes answer connections with a refusal, ``frozen`` ones accept and say nothing, ``silent`` ones can no
    longer be reached. ``fails_over``: the witness loses sight of the master, and can see the other store.
    ``master_alone``: the master stays where it is, without its replica.
    """

    refusing: frozenset[str]
    frozen: frozenset[str]
    silent: frozenset[str]
    fails_over: bool
    master_alone: bool
    regions: Mapping[str, tuple[str, ...]]

    @property
    def gone(self) -> frozenset[str]:
        return self.refusing | self.frozen | self.silent

    @property
    def home_hurt(self) -> bool:
        """Whether a node that was answering reads is gone."""
        return any(node in self.gone for node in self.regions[HOME])

    @property
    def home_gone(self) -> bool:
        return all(node in self.gone for node in self.regions[HOME])

    @property
    def all_gone(self) -> bool:
        return all(node in self.gone for nodes in self.regions.values() for node in nodes)


def outage(faults: Sequence[Fault], regions: Mapping[str, Sequence[str]]) -> Outage | None:
    """What ``faults`` together take away from the nodes of ``regions``; None where that cannot be told.

    Cannot be told: a fault that is not known here, a region without nodes, a cut inside a region or of one way only.
    """
    if set(regions) != {HOME, AWAY} or not all(isinstance(nodes, list | tuple) and nodes for nodes in regions.values()):
        return None
    refusing: set[str] = set()
    frozen: set[str] = set()
    lost: set[str] = set()
    unreachable: set[str] = set()
    cuts: set[tuple[str, str]] = set()
    for name, given in faults:
        if name == "node_kill" and not given.get("restart"):
            (frozen if given.get("signal", "KILL") in FROZEN_BY else refusing).update(_nodes(given, regions))
        elif name == "node_pause":
            frozen.update(_nodes(given, regions))
        elif name == "region_loss":
            lost.add(str(given.get("region")))
        elif name == "partition" and given.get("direction", "both") == "both":
            cuts |= set(_pairs(given))
        elif name == "edge_cut":
            unreachable.update(regions.get(str(given.get("region")), ()))
        elif name not in KEEP_SERVING or given.get("layer") == "hidden" or given.get("by") == "restart":
            return None
    if any(_site(a) == _site(b) for a, b in cuts):
        return None
    apart = _Apart(frozenset(lost), frozenset(frozenset(pair) for pair in cuts))
    nodes = [node for region in (HOME, AWAY) for node in regions[region]]
    master_seen = not apart.of(EDGE, f"{HOME}/{STORE}")
    return Outage(
        refusing=frozenset(refusing & set(nodes)),
        frozen=frozenset(frozen & set(nodes)),
        silent=frozenset(node for node in nodes if node in unreachable or apart.of(EDGE, node)),
        fails_over=not master_seen and not apart.of(EDGE, f"{AWAY}/{STORE}"),
        master_alone=master_seen and apart.of(f"{HOME}/{STORE}", f"{AWAY}/{STORE}"),
        regions={region: tuple(regions[region]) for region in (HOME, AWAY)},
    )


@dataclass(frozen=True)
class _Apart:
    lost: frozenset[str]
    cuts: frozenset[frozenset[str]]

    def of(self, a: str, b: str) -> bool:
        """Whether the hosts ``a`` and ``b`` cannot reach each other."""
        if _site(a) in self.lost or _site(b) in self.lost:
            return True
        return any(frozenset(pair) in self.cuts for pair in product({a, _site(a)}, {b, _site(b)}))


def _nodes(given: Mapping[str, Any], regions: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The node that is named, or the first ``count`` of a region."""
    if given.get("node"):
        return [str(given["node"])]
    return regions.get(str(given.get("region")), ())[: int(given.get("count", 1))]


def _pairs(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    sides = [[place.strip() for place in str(given.get(side, "")).split(",")] for side in ("a", "b")]
    return [(a, b) for a, b in product(*sides)]


def _site(place: str) -> str:
    return place.partition("/")[0]
