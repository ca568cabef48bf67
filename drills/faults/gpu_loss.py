"""The accelerator of one node fails under a running request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import answer_degraded
from drills.targets.base import GpuFaultable, Target


@dataclass(frozen=True)
class GpuLoss:
    """Make the accelerator of ``node`` fail; ``layer`` is ``auto``, ``context`` (a real GPU) or ``simulated``."""

    node: str
    layer: str = "auto"
    name: ClassVar[str] = "gpu_loss"
    needs: ClassVar[tuple[type, ...]] = (GpuFaultable,)

    def fidelity(self, target: GpuFaultable) -> Fidelity:
        if target.accelerator_layer(self.node, self.layer) == "simulated":
            return Fidelity(
                "simulated",
                "that the service notices an accelerator error, answers what is in flight on the CPU and comes back",
                "anything about a GPU, its driver or CUDA: the error is raised at the execution-provider boundary",
            )
        return Fidelity(
            "real",
            "that the service survives a sticky CUDA error in its own context, as after XID 13, 31 or 43",
            "a GPU that fell off the bus or needs a reset",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        region = self.node.partition("/")[0]
        text = f"the accelerator of 1 of {len(nodes[region])} nodes of {region}; that node goes on, on its CPU"
        return BlastRadius((self.node,), text)

    def inject(self, target: GpuFaultable) -> None:
        target.fail_accelerator(self.node, target.accelerator_layer(self.node, self.layer))

    def took_effect(self, target: Target) -> Evidence:
        if answer_degraded(target, self.node):
            return Evidence(True, f"{self.node} answers a recommendation asked from the edge, and says it is degraded")
        return Evidence(False, f"{self.node} does not say that its answers are degraded")

    def heal(self, target: GpuFaultable) -> None:
        target.restore_accelerator(self.node)

    def healed(self, target: Target) -> Evidence:
        if answer_degraded(target, self.node) is False:
            return Evidence(True, f"{self.node} answers a recommendation asked from the edge, and is not degraded")
        return Evidence(False, f"{self.node} does not answer yet, or only degraded")


inject, heal = activities(GpuLoss)
