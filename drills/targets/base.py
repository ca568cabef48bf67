"""What a target is, and what it may be able to do.

A target is where the regions live. Each kind deploys in its own way; each way to break it is a separate ability, a
protocol of its own. A fault names the abilities it needs and never asks which target it talks to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drills.asking.service import RECSVC, Door, Service
from drills.errors import TargetError
from drills.recording.record import Event

EDGE = "edge"
REGIONS = ("primary", "standby")
SITES = (EDGE, *REGIONS)
NODE_HEADER = "X-Recdr-Node"
REGION_HEADER = "X-Recdr-Region"


@dataclass(frozen=True)
class Deployment:
    """A deployed service, as its clients and recdr reach it.

    ``edge_url`` is the clients' way in, ``service`` how to ask there. ``doors`` are the ways to single regions past the
    traffic director; a region without a door cannot be asked by itself. ``sample``: a user, and where there are any an
    item to write about and a query, that recdr may use for looks of its own.

    The rest is there only where recdr deployed it itself. ``ops_url`` reaches one node or one region, seen from the
    edge site: send ``X-Recdr-Node`` or ``X-Recdr-Region`` with the request.
    """

    kind: str
    edge_url: str
    service: Service = RECSVC
    doors: Mapping[str, Door] = field(default_factory=dict)
    sample: Mapping[str, str] = field(default_factory=lambda: {"user": "recdr-look", "query": "star"})
    about: Mapping[str, Any] = field(default_factory=dict)
    ops_url: str = ""
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bundle: Path | None = None
    replication: str | None = None
    accelerator: str | None = None

    def facts(self) -> dict[str, Any]:
        """What ``meta.json`` says of it: only what there is."""
        topology = {"nodes": dict(self.nodes), "replication": self.replication}
        return {"topology": topology, "accelerator": self.accelerator} if self.nodes else {"doors": sorted(self.doors)}


class Target(Protocol):
    """Where the regions live."""

    kind: str

    @property
    def deployment(self) -> Deployment:
        """What is deployed."""

    @property
    def reference(self) -> Path:
        """The file by which other processes find this target once it is deployed."""

    def teardown(self) -> None:
        """Remove everything that was deployed; idempotent."""

    def reset(self) -> None:
        """Bring back the state right after deploying: nothing broken, all nodes up, the primary is the master."""

    def nodes_of(self, region: str) -> tuple[str, ...]:
        """The names of a region's nodes; none where the target does not know them."""

    def sightings(self, since_ns: int) -> list[Event]:
        """What the target saw by itself since then: ``edge.server``, ``store.promoted``, ``process.ended``."""

    def observe(self, node: str) -> dict[str, Any] | None:
        """What ``node`` says of itself (its ``/readyz`` document) as seen from the edge; None where no answer came."""


@runtime_checkable
class Killable(Protocol):
    """Nodes are processes that can be killed and started again."""

    def kill_node(self, node: str, signal: int) -> None: ...

    def start_node(self, node: str) -> None:
        """Idempotent: a node that runs is left alone."""


@runtime_checkable
class Partitionable(Protocol):
    """Packets between two places can be dropped silently. A place is a site or one host of it (``primary/node-1``)."""

    def cut(self, a: str, b: str) -> None:
        """Drop everything between ``a`` and ``b``, both ways; idempotent."""

    def mend(self, a: str, b: str) -> None:
        """Undo ``cut``; idempotent."""

    def reachable(self, source: str, destination: str) -> bool:
        """Whether a new connection from ``source`` reaches ``destination`` within 0.3 s."""


@runtime_checkable
class RegionLosable(Protocol):
    """A whole region can lose its power and its network at once."""

    def lose_region(self, region: str) -> None: ...

    def restore_region(self, region: str) -> None:
        """Power and network are back and every process was started; idempotent."""


@runtime_checkable
class GpuFaultable(Protocol):
    """The accelerator of one node can be made to fail."""

    def accelerator_layer(self, node: str, layer: str) -> str:
        """The layer at which ``auto`` makes ``node``'s accelerator fail; any other ``layer`` is returned as it is."""

    def fail_accelerator(self, node: str, layer: str) -> None: ...

    def restore_accelerator(self, node: str) -> None: ...


@runtime_checkable
class Leased(Protocol):
    """What was broken heals itself if the process that broke it is not heard from in time (a dead-man's switch)."""

    def renew(self, seconds: float) -> None:
        """Promise to be heard from again within ``seconds``.

        Raises LeaseLost where that was broken before, TargetError where it cannot be said or somebody else holds it.
        """

    def release(self) -> None:
        """Let go of it: nobody needs to be heard from any more."""


class LeaseLost(TargetError):  # noqa: N818 - a state of affairs that callers ask for
    """The holder of a lease was not heard from in time: everything was healed, and nothing more may be broken."""


class TargetGone(TargetError):  # noqa: N818 - the same
    """The target is no more, and with it whatever was broken in it."""


ABILITIES: Sequence[type] = (Killable, Partitionable, RegionLosable, GpuFaultable)
