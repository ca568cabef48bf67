"""Accelerators get slow without failing: the gray failure of GPUs, by heat, a noisy neighbour or a sick link.

Nothing raises an error and health checks pass, so only the time that answers take shows it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.looks import all_of, ask_node
from drills.faults.picked import Misfit, Picking, share_text
from drills.targets.base import GpuSlowable, Target

LEAST_MS, MOST_MS = 50.0, 10_000.0
ASKS = 8
ENOUGH = 4
PAUSE_S = 0.05
REFUSED = 503
SEEN = 0.7
"""The share of the delay by which answers must have become slower, or at most still may be: noise is smaller."""


@dataclass(frozen=True)
class GpuSlow(Picking):
    """Let every run on the accelerator of ``node``, or of ``count`` nodes of ``region``, take ``delay_ms`` longer."""

    delay_ms: float = 300.0
    name: ClassVar[str] = "gpu_slow"
    needs: ClassVar[tuple[type, ...]] = (GpuSlowable,)
    effect_timeout_s: ClassVar[float] = 15.0

    @staticmethod
    def misfit(given: Mapping[str, Any], nodes: Nodes) -> Misfit | None:
        """What is wrong with the arguments together; None where nothing is."""
        if not LEAST_MS <= given["delay_ms"] <= MOST_MS:
            return "delay_ms", f"{given['delay_ms']:g} is not from {LEAST_MS:g} to {MOST_MS:g} milliseconds.", ""
        return Picking.misfit(given, nodes)

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "simulated",
            "how batching, deadlines and the traffic director cope with a node whose accelerator is slow but sound",
            "anything about a GPU: batches wait, as long whatever their size, where they are handed over to the device",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        names = self.names(nodes)
        return BlastRadius(names, f"the accelerators of {share_text(names, nodes)}: every batch takes longer there")

    def look_first(self, target: Target) -> list[str]:
        """How long each node's answers take with nothing broken."""
        usual = {node: _asked(target, node).shortest_s for node in self.names_at(target)}
        noted = [f"{node} {took_s:.4f}" for node, took_s in usual.items() if took_s is not None]
        self.recall(noted)
        return noted

    def recall(self, noted: Sequence[str]) -> None:
        object.__setattr__(self, "_usual_s", {node: float(s) for node, s in (line.split() for line in noted)})

    def inject(self, target: GpuSlowable) -> None:
        for node in self.names_at(target):
            target.slow_accelerator(node, self.delay_ms)

    def took_effect(self, target: Target) -> Evidence:
        return all_of(self._slow(target, node) for node in self.names_at(target))

    def heal(self, target: GpuSlowable) -> None:
        for node in self.names_at(target):
            target.speed_accelerator(node)

    def healed(self, target: Target) -> Evidence:
        return all_of(self._fast(target, node) for node in self.names_at(target))

    def _slow(self, target: Target, node: str) -> Evidence:
        usual_s, took = self._usual(node), _asked(target, node)
        if took.shortest_s is None:
            # A node that was fast enough before, and now refuses everybody, cannot answer in time any more.
            return Evidence(took.refused == ASKS and usual_s is not None, f"{node} {took}{_before(usual_s)}")
        slower_s = took.shortest_s - (usual_s or 0.0)
        return Evidence(slower_s >= SEEN * self.delay_ms / 1_000, f"{node} {took}{_before(usual_s)}")

    def _fast(self, target: Target, node: str) -> Evidence:
        usual_s, took = self._usual(node), _asked(target, node)
        fast = took.shortest_s is not None and took.shortest_s - (usual_s or 0.0) < SEEN * self.delay_ms / 1_000
        return Evidence(fast, f"{node} {took}{_before(usual_s)}")

    def _usual(self, node: str) -> float | None:
        """How long an answer took before; None where nobody looked, or got one."""
        usual_s: dict[str, float] = getattr(self, "_usual_s", {})
        return usual_s.get(node)


def _before(usual_s: float | None) -> str:
    return "" if usual_s is None else f", {usual_s * 1_000:.0f} ms before"


@dataclass(frozen=True)
class _Asked:
    """The shortest time of a few answers (None without any), and how often the node refused with a 503.

    The shortest, because a slow accelerator delays every answer, and a busy machine only some.
    """

    shortest_s: float | None
    refused: int

    def __str__(self) -> str:
        if self.shortest_s is not None:
            return f"takes {self.shortest_s * 1_000:.0f} ms at least for a recommendation asked from the edge"
        return f"answered no recommendation asked from the edge, and refused {self.refused} of {ASKS}"


def _asked(target: Target, node: str) -> _Asked:
    took_s: list[float] = []
    refused = 0
    for _ in range(ASKS):
        answer = ask_node(target, node)
        if answer is not None and answer.ok:
            took_s.append(answer.took_s)
        else:
            refused += answer is not None and answer.status == REFUSED
            time.sleep(PAUSE_S)
        if len(took_s) == ENOUGH:
            break
    return _Asked(min(took_s, default=None), refused)


inject, heal = activities(GpuSlow)
