"""Accelerators fail: under a running request, or so that a node starts without one.

Four layers. ``context``: a trap kernel in the service's own CUDA context, as after XID 13, 31 or 43; the error is
sticky, and only another process helps. ``process``: the process that holds the accelerator is killed, and so is each
that takes its place, as by a driver that crashes. ``hidden``: the node restarts with ``/dev/nvidia*`` masked in a mount
namespace of its own, as after XID 79, when a GPU has fallen off the bus. ``simulated``: where there is no GPU, the
inference layer raises the same error as after a lost context where it hands over to the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import all_of, answer_degraded
from drills.faults.picked import Picking, share_text
from drills.targets.base import GpuFaultable, RealGpu, Target

_FIDELITY = {
    "simulated": Fidelity(
        "simulated",
        "that the service notices an accelerator error, answers what is in flight on the CPU and comes back",
        "anything about a GPU, its driver or CUDA: the error is raised at the execution-provider boundary",
    ),
    "context": Fidelity(
        "real",
        "that the service survives a sticky CUDA error in its own context, as after XID 13, 31 or 43",
        "a GPU that fell off the bus or needs a reset",
    ),
    "process": Fidelity(
        "real",
        "that the service survives the death of the process that holds its accelerator, answers what is in flight on "
        "the CPU, starts another again and again without a storm, and comes back with the first that lives",
        "a driver: the process is killed by a signal, whatever it computes on",
    ),
    "hidden": Fidelity(
        "real",
        "that a node starts and serves without the GPU it should have, as after XID 79, and that its peers carry on",
        "the moment in which a GPU falls off the bus under running kernels: the node is restarted without it",
    ),
}


@dataclass(frozen=True)
class GpuLoss(Picking):
    """Make the accelerator of ``node``, or of ``count`` nodes of ``region``, fail.

    ``layer`` is ``auto`` (default: ``context`` on a GPU, else ``simulated``), ``context``, ``process``, ``hidden`` or
    ``simulated``.
    """

    layer: Literal["auto", "context", "process", "hidden", "simulated"] = "auto"
    name: ClassVar[str] = "gpu_loss"
    needs: ClassVar[tuple[type, ...]] = (GpuFaultable,)
    effect_timeout_s: ClassVar[float] = 15.0
    """A node that restarts without its GPU has to load the model first."""

    @staticmethod
    def needs_for(given: Mapping[str, Any]) -> tuple[type, ...]:
        """What the target must be able to do beyond ``needs`` with these arguments."""
        return (RealGpu,) if given.get("layer") in ("context", "hidden") else ()

    def fidelity(self, target: GpuFaultable) -> Fidelity:
        return _FIDELITY[target.accelerator_layer(self.node or self.region, self.layer)]

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = self.names(nodes)
        return BlastRadius(names, f"the accelerators of {share_text(names, nodes)}, which go on on their CPUs")

    def inject(self, target: GpuFaultable) -> None:
        for node in self._nodes(target):
            target.fail_accelerator(node, target.accelerator_layer(node, self.layer))

    def took_effect(self, target: Target) -> Evidence:
        return all_of(_degraded(target, node) for node in self._nodes(target))

    def heal(self, target: GpuFaultable) -> None:
        for node in self._nodes(target):
            target.restore_accelerator(node)

    def healed(self, target: Target) -> Evidence:
        return all_of(_sound(target, node) for node in self._nodes(target))

    def _nodes(self, target: Any) -> tuple[str, ...]:
        return self.names_at(target)


def _degraded(target: Target, node: str) -> Evidence:
    if answer_degraded(target, node):
        return Evidence(True, f"{node} answers a recommendation asked from the edge, and says it is degraded")
    return Evidence(False, f"{node} does not say that its answers are degraded")


def _sound(target: Target, node: str) -> Evidence:
    if answer_degraded(target, node) is False:
        return Evidence(True, f"{node} answers a recommendation asked from the edge, and is not degraded")
    return Evidence(False, f"{node} does not answer yet, or only degraded")


inject, heal = activities(GpuLoss)
