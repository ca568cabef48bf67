"""Which nodes a fault is about: one by name, or so many of a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drills.errors import UsageError
from drills.faults.base import Nodes
from drills.targets.base import REGIONS

Misfit = tuple[str, str, str]
"""An argument, what is wrong with it, and what to write instead."""


@dataclass(frozen=True)
class Picking:
    """The arguments of a fault that is about nodes: ``node``, or ``region`` with ``count``."""

    node: str = ""
    region: str = ""
    count: int = 1

    @staticmethod
    def misfit(given: Mapping[str, Any], nodes: Nodes) -> Misfit | None:
        """What is wrong with the arguments together; None where nothing is."""
        return _misfit(given["node"], given["region"], given["count"], nodes)

    def names(self, nodes: Nodes) -> tuple[str, ...]:
        """The names of the nodes that the fault is about; raises UsageError where its arguments do not fit."""
        if wrong := _misfit(self.node, self.region, self.count, nodes):
            raise UsageError(f"{wrong[1]} {wrong[2]}")
        return (self.node,) if self.node else tuple(nodes[self.region][: self.count])

    def names_at(self, target: Any) -> tuple[str, ...]:
        """The same of a target that is up, whatever else is known of what it can do."""
        return self.names({region: target.nodes_of(region) for region in REGIONS})


def _misfit(node: str, region: str, count: int, nodes: Nodes) -> Misfit | None:
    if not node and not region:
        return "node", "the argument 'node' or 'region' is missing.", _example(nodes)
    if node and region:
        return "region", "'node' and 'region' cannot both be given.", f"Remove one: {_example(nodes)}"
    if node:
        wrong = "'count' is only for a region's nodes"
        return ("count", f"{wrong}, and 'node' names one.", f"Remove one: {_example(nodes)}") if count != 1 else None
    if not 1 <= count <= len(nodes[region]):
        return "count", f"{count} of the {len(nodes[region])} nodes of {region} is not possible.", "Write 1 or more."
    return None


def _example(nodes: Nodes) -> str:
    first = next(iter(nodes[REGIONS[0]]), "primary/node-1")
    return f"It takes node (such as {first}), or region (such as primary) and count."


def share_text(names: tuple[str, ...], nodes: Nodes) -> str:
    """How many of how many nodes of their region: ``2 of 3 nodes of primary``."""
    region = names[0].partition("/")[0]
    return f"{len(names)} of {len(nodes[region])} nodes of {region}"
