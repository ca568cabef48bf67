"""Nodes serve an older release of the model: a rollout that stopped half-way, or a standby nobody keeps up to date.

The release is a real one: the state of the same training before it learnt each user's newest known interaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import all_of, ask_node
from drills.faults.picked import Picking, share_text
from drills.targets.base import ModelsRollable, Target


@dataclass(frozen=True)
class ModelStale(Picking):
    """Let ``node``, or ``count`` nodes of ``region``, serve the release of the model before the current one."""

    name: ClassVar[str] = "model_stale"
    needs: ClassVar[tuple[type, ...]] = (ModelsRollable,)
    effect_timeout_s: ClassVar[float] = 15.0
    """A node loads and warms the other model before it serves it."""

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "what users get from nodes with an older model, and that rolling it out and back fails no request",
            "models that are far older, or whose catalogue is another one",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = self.names(nodes)
        return BlastRadius(names, f"the recommendations of {share_text(names, nodes)} come from an older model")

    def inject(self, target: ModelsRollable) -> None:
        for node in self.names_at(target):
            target.roll_out_previous(node)

    def took_effect(self, target: Any) -> Evidence:
        return all_of(_serves(target, node, "previous") for node in self.names_at(target))

    def heal(self, target: ModelsRollable) -> None:
        for node in self.names_at(target):
            target.roll_back(node)

    def healed(self, target: Any) -> Evidence:
        return all_of(_serves(target, node, "current") for node in self.names_at(target))


def _serves(target: Any, node: str, release: str) -> Evidence:
    """Observed: an answer of ``node`` to a recommendation asked from the edge names the version of ``release``."""
    asked: Target = target
    answer, version = ask_node(asked, node), target.model_version(release)
    if answer is None or not answer.ok:
        return Evidence(False, f"{node} answers no recommendation asked from the edge")
    text = f"{node} answers a recommendation asked from the edge with model {answer.model}"
    return Evidence(answer.model == version, f"{text}, the {release} release is {version}")


inject, heal = activities(ModelStale)
