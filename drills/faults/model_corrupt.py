"""The next artifact is damaged: bytes were flipped on the way from the registry, and it is rolled out all the same.

A service must find that out before anybody gets an answer from it, and go on with the model that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import all_of, ask_node
from drills.faults.picked import Misfit, Picking, share_text
from drills.targets.base import CORRUPT_PREFIX, ModelsRollable, Target

MOST_FLIPS = 1_000_000


@dataclass(frozen=True)
class ModelCorrupt(Picking):
    """Roll out a copy of the model with ``flips`` bytes of ``file`` flipped.

    To ``node``, or to ``count`` nodes of ``region``; ``by`` is ``reload`` (default: while the node
    serves) or ``restart`` (the node starts with it).
    """

    file: Literal[
        "model.onnx", "item_embeddings.npy", "items.json", "histories.json", "evaluation.json", "manifest.json"
    ] = "model.onnx"
    flips: int = 8
    by: Literal["reload", "restart"] = "reload"
    name: ClassVar[str] = "model_corrupt"
    needs: ClassVar[tuple[type, ...]] = (ModelsRollable,)
    effect_timeout_s: ClassVar[float] = 15.0

    @staticmethod
    def misfit(given: Mapping[str, Any], nodes: Nodes) -> Misfit | None:
        """What is wrong with the arguments together; None where nothing is."""
        if not 1 <= given["flips"] <= MOST_FLIPS:
            return "flips", f"{given['flips']} is not from 1 to {MOST_FLIPS:,} bytes.", ""
        return Picking.misfit(given, nodes)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            "that an artifact whose bytes are not those that were published is never served, and the last good one is",
            "a model that was published broken: its checksums are right",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = self.names(nodes)
        text = f"{share_text(names, nodes)} are given a damaged model, which they should refuse"
        return BlastRadius(names, text)

    def inject(self, target: ModelsRollable) -> None:
        for node in self.names_at(target):
            target.roll_out_corrupt(node, self.file, self.flips, self.by)

    def took_effect(self, target: Target) -> Evidence:
        return all_of(_given(target, node) for node in self.names_at(target))

    def heal(self, target: ModelsRollable) -> None:
        for node in self.names_at(target):
            target.roll_back(node)

    def healed(self, target: Any) -> Evidence:
        return all_of(_good(target, node) for node in self.names_at(target))


def _given(target: Target, node: str) -> Evidence:
    """Observed: ``node`` says that it was given the damaged artifact and is done with it, whatever it made of it."""
    rollout = _rollout(target, node)
    if rollout is None or not str(rollout.get("artifact")).startswith(CORRUPT_PREFIX):
        return Evidence(False, f"{node} does not say, asked from the edge, that it was given the damaged model")
    if rollout.get("outcome") == "loading":
        return Evidence(False, f"{node} is still loading the damaged model")
    if rollout.get("outcome") == "refused":
        return Evidence(True, f"{node} refused the damaged model: {rollout.get('reason')}")
    return Evidence(True, f"{node} took the damaged model, and serves it")


def _good(target: Any, node: str) -> Evidence:
    """Observed: ``node`` serves the current release and is not busy with another artifact, nor was given one last."""
    answer, rollout, version = ask_node(target, node), _rollout(target, node), target.model_version("current")
    if answer is None or not answer.ok:
        return Evidence(False, f"{node} answers no recommendation asked from the edge")
    if answer.model != version:
        return Evidence(False, f"{node} answers with model {answer.model} instead of {version}")
    if rollout and (rollout["outcome"] != "done" or str(rollout["artifact"]).startswith(CORRUPT_PREFIX)):
        return Evidence(False, f"{node} serves model {version}, but was last given {rollout['artifact']}")
    return Evidence(True, f"{node} answers a recommendation asked from the edge with model {version}")


def _rollout(target: Target, node: str) -> dict[str, Any] | None:
    found = (target.observe(node) or {}).get("last_rollout")
    return found if isinstance(found, dict) else None


inject, heal = activities(ModelCorrupt)
