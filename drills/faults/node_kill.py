"""One recommender node dies at once, as after an out-of-memory kill or a crash."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import node_silent, nodes_ready
from drills.targets.base import Killable, Target


@dataclass(frozen=True)
class NodeKill:
    """Send ``signal`` (default KILL) to the process of ``node``; healing starts it again."""

    node: str
    signal: str = "KILL"
    name: ClassVar[str] = "node_kill"
    needs: ClassVar[tuple[type, ...]] = (Killable,)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that the traffic director and the other nodes carry on when a serving process dies",
            "loss of the machine under it: its network still answers connection attempts with a refusal",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        region = self.node.partition("/")[0]
        return BlastRadius((self.node,), f"1 of {len(nodes[region])} nodes of {region}")

    def inject(self, target: Killable) -> None:
        target.kill_node(self.node, signals.Signals[f"SIG{self.signal}"].value)

    def took_effect(self, target: Target) -> Evidence:
        return node_silent(target, self.node)

    def heal(self, target: Killable) -> None:
        target.start_node(self.node)

    def healed(self, target: Target) -> Evidence:
        return nodes_ready(target, [self.node])


inject, heal = activities(NodeKill)
