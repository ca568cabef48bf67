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
from drills.recording.record import Event

EDGE = "edge"
REGIONS = ("primary", "standby")
SITES = (EDGE, *REGIONS)
CORRUPT_PREFIX = "corrupt-"  # what the names of artifacts begin with that a fault damaged
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
class RealGpu(GpuFaultable, Protocol):
    """The same with a GPU that is really there, which this host has or lacks: it is what ``lacks`` is asked about."""


@runtime_checkable
class GpuSlowable(Protocol):
    """The accelerator of one node can be made to take longer, without failing."""

    def slow_accelerator(self, node: str, delay_ms: float) -> None:
        """Let every run on it take ``delay_ms`` longer."""

    def speed_accelerator(self, node: str) -> None:
        """Undo ``slow_accelerator``; idempotent."""


@runtime_checkable
class ModelsRollable(Protocol):
    """Another model can be rolled out to one node while it serves."""

    def model_version(self, release: str) -> str:
        """The version of the ``current`` or the ``previous`` release; raises TargetError where there is none."""

    def roll_out_previous(self, node: str) -> None:
        """Give ``node`` the release before the current one; returns once it was told, not when it serves it."""

    def roll_out_corrupt(self, node: str, file: str, flips: int, by: str) -> None:
        """Give ``node`` the current release with ``flips`` bytes of ``file`` inverted, by ``reload`` or ``restart``."""

    def roll_back(self, node: str) -> None:
        """Give ``node`` the current release again; idempotent."""


ABILITIES: Sequence[type] = (Killable, Partitionable, RegionLosable, GpuFaultable, RealGpu, GpuSlowable, ModelsRollable)
