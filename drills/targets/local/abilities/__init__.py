"""What the local target can do to its lab: one file a group of abilities, each a class that LocalTarget is made of."""

from __future__ import annotations

from drills.targets.local.abilities.accelerators import Accelerators
from drills.targets.local.abilities.artifacts import Artifacts
from drills.targets.local.abilities.directing import Directing
from drills.targets.local.abilities.leases import Leases
from drills.targets.local.abilities.partitions import Partitions
from drills.targets.local.abilities.processes import Processes
from drills.targets.local.abilities.regions import Regions
from drills.targets.local.abilities.stores import Stores

__all__ = [
    "Accelerators",
    "Artifacts",
    "Directing",
    "Leases",
    "Partitions",
    "Processes",
    "Regions",
    "Stores",
]
