"""A fault that does nothing: it proves that recdr says UNKNOWN when nothing was broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities


@dataclass(frozen=True)
class Noop:
    """Do nothing."""

    name: ClassVar[str] = "noop"
    needs: ClassVar[tuple[type, ...]] = ()

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity("real", "nothing: nothing was broken", "anything about the service")

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        return BlastRadius((), "nothing")

    def inject(self, target: Any) -> None:
        """Nothing is broken."""

    def took_effect(self, target: Any) -> Evidence:
        return Evidence(False, "the fault does nothing, so there is no effect to observe")

    def heal(self, target: Any) -> None:
        """Nothing was broken, nothing is healed."""

    def healed(self, target: Any) -> Evidence:
        return Evidence(True, "nothing had been broken")


inject, heal = activities(Noop)
