"""The faults recdr knows, by the name that stands in a drill file: ``module: drills.faults.NAME``."""

from __future__ import annotations

from drills.faults.base import Fault
from drills.faults.capacity import Capacity
from drills.faults.custom import Custom
from drills.faults.edge_cut import EdgeCut
from drills.faults.gpu_loss import GpuLoss
from drills.faults.link import Link
from drills.faults.load_surge import LoadSurge
from drills.faults.node_kill import NodeKill
from drills.faults.noop import Noop
from drills.faults.partition import Partition
from drills.faults.region_loss import RegionLoss

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        *(RegionLoss, NodeKill, Partition, EdgeCut, Link, LoadSurge, Capacity, GpuLoss),
        *(Custom, Noop),
    )
}

__all__ = ["FAULTS", "Fault"]
