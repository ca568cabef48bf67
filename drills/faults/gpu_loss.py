"""The accelerator of one node fails under a running request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drills.faults.base import Evidence, Fidelity, activities
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

    def inject(self, target: GpuFaultable) -> None:
        target.fail_accelerator(self.node, target.accelerator_layer(self.node, self.layer))

    def took_effect(self, target: Target) -> Evidence:
        state = target.observe(self.node) or {}
        said = state.get("accelerator_state", "nothing")
        if said not in ("degraded", "recovering"):
            return Evidence(False, f"{self.node} reports its accelerator as {said}")
        return Evidence(True, f"{self.node} answers from the edge and reports its accelerator as {said}")

    def heal(self, target: GpuFaultable) -> None:
        target.restore_accelerator(self.node)

    def healed(self, target: Target) -> Evidence:
        said = (target.observe(self.node) or {}).get("accelerator_state", "nothing")
        return Evidence(said == "ok", f"{self.node} reports its accelerator as {said}")


inject, heal = activities(GpuLoss)
