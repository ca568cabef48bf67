"""Nodes as processes: killed, and started again."""

from __future__ import annotations

import signal as signals

from drills.targets.local.abilities.asking import Asking


class Processes(Asking):
    """Makes the local target Killable."""

    def kill_node(self, node: str, signal: int) -> None:
        self._ask("kill", name=node, number=int(signal))

    def start_node(self, node: str) -> None:
        self._ask("kill", name=node, number=int(signals.SIGCONT))
        self._ask("start_node", name=node)
