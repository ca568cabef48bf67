"""Recommender nodes hang: the process is stopped, but its machine still accepts connections for it.

The gray failure: whoever only tries whether the port is open finds nothing wrong. A health check must ask for an answer
and give up in time, and so must everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import nodes_ready
from drills.faults.picked import Misfit, misfit, picked, picked_at, share_text
from drills.targets.base import Pausable, Target


@dataclass(frozen=True)
class NodePause:
    """Nodes hang: they accept connections and answer nothing, as in a deadlock or a long garbage collection.

    Stops the process of ``node``, or of ``count`` nodes of ``region``, where it is (SIGSTOP); healing lets it go on.
    """

    node: str = ""
    region: str = ""
    count: int = 1
    name: ClassVar[str] = "node_pause"
    needs: ClassVar[tuple[type, ...]] = (Pausable,)

    @staticmethod
    def misfit(given: Mapping[str, Any], nodes: Nodes) -> Misfit | None:
        """What is wrong with the arguments together; None where nothing is."""
        return misfit(given, nodes)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that a process that hangs is noticed by its silence: its kernel accepts connections for it as ever",
            "a process that answers some requests and hangs on others",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = picked(self, nodes)
        return BlastRadius(names, f"{share_text(names, nodes)}; they go on accepting connections, and answer nothing")

    def inject(self, target: Any) -> None:
        for name in picked_at(self, target):
            target.pause_node(name)

    def took_effect(self, target: Any) -> Evidence:
        for name in picked_at(self, target):
            if target.observe(name) is not None:
                return Evidence(False, f"{name} still answers requests sent to it from the edge")
            if not target.accepts(name):
                return Evidence(False, f"{name} does not answer, but does not accept connections either")
        names = ", ".join(picked_at(self, target))
        return Evidence(True, f"connections from the edge to {names} open, and no request is answered on them")

    def heal(self, target: Any) -> None:
        for name in picked_at(self, target):
            target.resume_node(name)

    def healed(self, target: Target) -> Evidence:
        return nodes_ready(target, picked_at(self, target))


inject, heal = activities(NodePause)
