"""Nodes as processes: killed and started again, stopped where they are, short of processor time."""

from __future__ import annotations

import time

from drills.errors import TargetError
from drills.targets.base import EDGE
from drills.targets.local.abilities.asking import Asking

THROTTLE_TIMEOUT_S = 10.0


class Processes(Asking):
    """Makes the local target Killable, Pausable and Slowable."""

    def kill_node(self, node: str, signal: int, restart_after_s: float | None = None) -> None:
        self._ask("kill_node", name=node, number=int(signal), restart_after_s=restart_after_s)

    def start_node(self, node: str) -> None:
        self._ask("revive_node", name=node)

    def pause_node(self, node: str) -> None:
        self._ask("pause_node", name=node)

    def resume_node(self, node: str) -> None:
        self._ask("resume_node", name=node)

    def accepts(self, node: str) -> bool:
        return bool(self._ask("reachable", source=EDGE, destination=node))

    def slow_node(self, node: str, share: float) -> None:
        """Returns once the throttle is at work; raises TargetError where it does not get there."""
        self._ask("slow_node", name=node, share=share)
        deadline = time.monotonic() + THROTTLE_TIMEOUT_S
        while not self._ask("throttled", name=node):
            if time.monotonic() > deadline:
                raise TargetError(f"the throttle of {node} did not start: see its log in the lab's folder")
            time.sleep(0.05)

    def unslow_node(self, node: str) -> None:
        self._ask("unslow_node", name=node)
