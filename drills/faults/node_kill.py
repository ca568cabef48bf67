"""Recommender nodes die at once, as after an out-of-memory kill or a crash; somebody may restart them, or nobody."""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import node_silent, nodes_ready
from drills.faults.picked import Misfit, Picking, share_text
from drills.targets.base import Killable, Target

LONGEST_S = 600.0


@dataclass(frozen=True)
class NodeKill(Picking):
    """Nodes die at once, as after an out-of-memory kill or a crash.

    Sends ``signal`` (default KILL) to the process of ``node``, or of ``count`` nodes of ``region``. Healing starts them
    again. With ``restart: true`` a supervisor does so ``restart_after_s`` seconds (default 0) after their end, as
    systemd or Kubernetes would, each time they end until the fault is healed.
    """

    signal: str = "KILL"
    restart: bool = False
    restart_after_s: float = 0.0
    name: ClassVar[str] = "node_kill"
    needs: ClassVar[tuple[type, ...]] = (Killable,)

    @staticmethod
    def misfit(given: Mapping[str, Any], nodes: Nodes) -> Misfit | None:
        """What is wrong with the arguments together; None where nothing is."""
        after_s = given["restart_after_s"]
        if after_s and not given["restart"]:
            return "restart_after_s", "nobody restarts the node.", "Add restart: true, or remove it."
        if not 0 <= after_s <= LONGEST_S:
            return "restart_after_s", f"{after_s} is not from 0 to {LONGEST_S:g} seconds.", ""
        return Picking.misfit(given, nodes)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that the traffic director and the other nodes carry on when serving processes die",
            "loss of the machine under them: its network still answers connection attempts with a refusal",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = self.names(nodes)
        text = share_text(names, nodes)
        return BlastRadius(names, f"{text}; started again by a supervisor" if self.restart else text)

    def look_first(self, target: Target) -> list[str]:
        """See which process each node is: one that was restarted fast is not caught silent, but is another one."""
        names = self.names_at(target)
        self.recall([f"{name} {_instance(target, name)}" for name in names])
        return []

    def recall(self, noted: Sequence[str]) -> None:
        object.__setattr__(self, "_before", dict(line.split(" ", 1) for line in noted))

    def inject(self, target: Killable) -> None:
        number = signals.Signals[f"SIG{self.signal}"].value
        for name in self.names_at(target):
            target.kill_node(name, number, self.restart_after_s if self.restart else None)

    def took_effect(self, target: Target) -> Evidence:
        seen = [self._hit(target, name) for name in self.names_at(target)]
        if all(evidence.observed for evidence in seen):
            return Evidence(True, "; ".join(evidence.text for evidence in seen))
        return next(evidence for evidence in seen if not evidence.observed)

    def _hit(self, target: Target, name: str) -> Evidence:
        """Observed: it does not answer, or another process answers in its place."""
        before: str | None = getattr(self, "_before", {}).get(name)
        if self.restart and before and (now := _instance(target, name)) and now != before:
            return Evidence(True, f"another process than before answers as {name}, as seen from the edge")
        return node_silent(target, name)

    def heal(self, target: Killable) -> None:
        for name in self.names_at(target):
            target.start_node(name)
        self.recall([])

    def healed(self, target: Target) -> Evidence:
        return nodes_ready(target, self.names_at(target))


def _instance(target: Target, name: str) -> str:
    """What tells a node's process from the one before it; empty where it does not answer or say."""
    return str((target.observe(name) or {}).get("instance", ""))


inject, heal = activities(NodeKill)
