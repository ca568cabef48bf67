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
BOTH = "both"
A_TO_B = "a_to_b"
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


@dataclass(frozen=True)
class StoreSeen:
    """A region's store as seen from the edge. ``connected``: a connection opened. ``info``: what it says of itself.

    ``info`` is None where no answer came within half a second.
    """

    connected: bool
    info: Mapping[str, str] | None


@runtime_checkable
class Killable(Protocol):
    """Nodes are processes that can be killed and started again."""

    def kill_node(self, node: str, signal: int, restart_after_s: float | None = None) -> None:
        """Send ``signal``; a supervisor starts the node again so long after its end, each time it ends, or never."""

    def start_node(self, node: str) -> None:
        """Idempotent: a node that runs is left alone. Ends what ``kill_node`` told the supervisor."""


@runtime_checkable
class Pausable(Protocol):
    """The process of a node can be stopped where it is: it keeps its sockets and its memory, and does nothing."""

    def pause_node(self, node: str) -> None: ...

    def resume_node(self, node: str) -> None:
        """Idempotent: a node that runs is left alone."""

    def accepts(self, node: str) -> bool:
        """Whether a new connection from the edge to ``node`` opens within 0.3 s; says nothing about answers."""


@runtime_checkable
class Slowable(Protocol):
    """A node can be kept from using more than a share of one processor."""

    def slow_node(self, node: str, share: float) -> None:
        """Allow it ``share`` of one processor; returns once that is in force."""

    def unslow_node(self, node: str) -> None:
        """Idempotent."""


@runtime_checkable
class StoreSeeable(Protocol):
    """The region's stores can be asked from the edge."""

    def see_store(self, region: str) -> StoreSeen: ...


@runtime_checkable
class StoreKillable(StoreSeeable, Protocol):
    """The process of a region's store can be killed."""

    def kill_store(self, region: str) -> None: ...

    def start_store(self, region: str) -> None:
        """Start it as a replica of whoever is the master now; idempotent: one that runs is left alone."""


@runtime_checkable
class StorePausable(StoreSeeable, Protocol):
    """The process of a region's store can be stopped where it is."""

    def pause_store(self, region: str) -> None: ...

    def resume_store(self, region: str) -> None:
        """Idempotent."""


@runtime_checkable
class ReplicationStoppable(StoreSeeable, Protocol):
    """What the stores send each other can be made to vanish, while everybody else still reaches both."""

    def stop_replication(self) -> None: ...

    def resume_replication(self) -> None:
        """Idempotent."""


@runtime_checkable
class DiskFillable(StoreSeeable, Protocol):
    """The disk that a region's store writes to can be full."""

    def fill_disk(self, region: str) -> None: ...

    def free_disk(self, region: str) -> None:
        """There is room again; a store that died of it is started again. Idempotent."""


@runtime_checkable
class Partitionable(Protocol):
    """Packets between two places can be dropped silently. A place is a site or one host of it (``primary/node-1``)."""

    def cut(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        """Drop everything between ``a`` and ``b``, or with ``a_to_b`` only what goes from ``a`` to ``b``; idempotent.

        ``why`` tells causes apart: what two of them cut is whole again when both are mended.
        """

    def mend(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        """Undo ``cut`` for this cause; idempotent."""

    def reachable(self, source: str, destination: str) -> bool:
        """Whether a new connection from ``source`` reaches ``destination`` within 0.3 s; it takes packets both ways."""

    def delivered(self, source: str, destination: str) -> bool:
        """Whether one of a few datagrams from ``source`` arrived at ``destination``: that takes one way only."""


@runtime_checkable
class EdgeCuttable(Protocol):
    """The way of the clients to one region can be cut, and nothing else: not the regions' own, nor the witness's."""

    def cut_clients(self, region: str) -> None:
        """Drop what goes between the traffic director and the nodes of ``region``; idempotent."""

    def mend_clients(self, region: str) -> None:
        """Undo ``cut_clients``; idempotent."""


@runtime_checkable
class Drainable(Protocol):
    """The traffic director can be told to send no more reads to a region."""

    def drain(self, region: str) -> None:
        """New reads go elsewhere, those under way are answered; idempotent."""

    def undrain(self, region: str) -> None:
        """Undo ``drain``; idempotent."""

    def drained(self) -> tuple[str, ...]:
        """The nodes that the director says it sends no reads to because it was told so."""


@dataclass(frozen=True)
class Arrived:
    """What became of datagrams that were sent from one place to another.

    ``delays_ms``: how long each took that arrived. ``mbit_per_s``: how fast they came in, the first one not counted;
    None with fewer than two.
    """

    sent: int
    delays_ms: tuple[float, ...]
    mbit_per_s: float | None

    @property
    def lost(self) -> float:
        """The share of 1 that did not arrive."""
        return 1 - len(self.delays_ms) / self.sent


@runtime_checkable
class Shapeable(Protocol):
    """The rate between two places can be limited."""

    def shape(self, a: str, b: str, properties: Mapping[str, float], why: str) -> None:
        """Give the way between two places, each direction by itself, these properties; idempotent.

        ``rate_mbit``, ``latency_ms``, ``jitter_ms``, ``loss`` (a share of 1); 0 or absent: as it is.
        ``why`` tells causes apart, as for a cut.
        """

    def unshape(self, why: str) -> None:
        """Undo ``shape`` for this cause; idempotent."""

    def send_datagrams(self, source: str, destination: str, count: int, size: int, wait_s: float) -> Arrived:
        """Send ``count`` of ``size`` bytes at once, and wait at most so long for the last."""


@runtime_checkable
class Delayable(Protocol):
    """``shape`` can add latency and lose packets, too."""

    def shape(self, a: str, b: str, properties: Mapping[str, float], why: str) -> None: ...


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


ABILITIES: Sequence[type] = (
    *(Killable, Pausable, Slowable, StoreKillable, StorePausable, ReplicationStoppable, DiskFillable),
    *(Partitionable, EdgeCuttable, Drainable, Shapeable, Delayable, RegionLosable),
    *(GpuFaultable, RealGpu, GpuSlowable, ModelsRollable),
)
