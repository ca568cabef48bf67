"""The faults recdr knows, by the name that stands in a drill file: ``module: drills.faults.NAME``."""

from __future__ import annotations

from drills.faults.base import Fault
from drills.faults.capacity import Capacity
from drills.faults.custom import Custom
from drills.faults.disk_full import DiskFull
from drills.faults.edge_cut import EdgeCut
from drills.faults.gpu_loss import GpuLoss
from drills.faults.gpu_slow import GpuSlow
from drills.faults.link import Link
from drills.faults.load_surge import LoadSurge
from drills.faults.model_corrupt import ModelCorrupt
from drills.faults.model_stale import ModelStale
from drills.faults.node_kill import NodeKill
from drills.faults.node_pause import NodePause
from drills.faults.node_slow import NodeSlow
from drills.faults.noop import Noop
from drills.faults.partition import Partition
from drills.faults.region_loss import RegionLoss
from drills.faults.replication_stop import ReplicationStop
from drills.faults.store_kill import StoreKill
from drills.faults.store_pause import StorePause

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        *(RegionLoss, NodeKill, NodePause, NodeSlow, Partition, EdgeCut, Link, StoreKill, StorePause, ReplicationStop),
        *(DiskFull, LoadSurge, Capacity, GpuLoss, GpuSlow, ModelCorrupt, ModelStale, Custom, Noop),
    )
}

__all__ = ["FAULTS", "Fault"]
