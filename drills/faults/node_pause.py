"""Recommender nodes hang: the process is stopped, but its machine still accepts connections for it.

The gray failure: whoever only tries whether the port is open finds nothing wrong. A health check must ask for an answer
and give up in time, and so must everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import nodes_ready
from drills.faults.picked import Picking, share_text
from drills.targets.base import Pausable, Target


@dataclass(frozen=True)
class NodePause(Picking):
    """Nodes hang: they accept connections and answer nothing, as in a deadlock or a long garbage collection.

    Stops the process of ``node``, or of ``count`` nodes of ``region``, where it is (SIGSTOP); healing lets it go on.
    """

    name: ClassVar[str] = "node_pause"
    needs: ClassVar[tuple[type, ...]] = (Pausable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that a process that hangs is noticed by its silence: its kernel accepts connections for it as ever",
            "a process that answers some requests and hangs on others",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = self.names(nodes)
        return BlastRadius(names, f"{share_text(names, nodes)}; they go on accepting connections, and answer nothing")

    def inject(self, target: Any) -> None:
        for name in self.names_at(target):
            target.pause_node(name)

    def took_effect(self, target: Any) -> Evidence:
        for name in self.names_at(target):
            if target.observe(name) is not None:
                return Evidence(False, f"{name} still answers requests sent to it from the edge")
            if not target.accepts(name):
                return Evidence(False, f"{name} does not answer, but does not accept connections either")
        names = ", ".join(self.names_at(target))
        return Evidence(True, f"connections from the edge to {names} open, and no request is answered on them")

    def heal(self, target: Any) -> None:
        for name in self.names_at(target):
            target.resume_node(name)

    def healed(self, target: Target) -> Evidence:
        return nodes_ready(target, self.names_at(target))


inject, heal = activities(NodePause)
