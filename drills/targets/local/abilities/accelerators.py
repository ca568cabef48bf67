"""Accelerators that fail or get slow, and come back."""

from __future__ import annotations

import contextlib
import signal as signals
import time

import httpx

from drills.targets.base import NODE_HEADER
from drills.targets.local.abilities.asking import Asking

BACK_S, LOOK_S = 10.0, 0.1


class Accelerators(Asking):
    """Makes the local target GpuFaultable and GpuSlowable."""

    def accelerator_layer(self, node: str, layer: str) -> str:
        """The layer at which ``node``'s accelerator can be made to fail: ``context`` on a GPU, else ``simulated``."""
        if layer != "auto":
            return layer
        return "context" if self.deployment.accelerator == "cuda" else "simulated"

    def fail_accelerator(self, node: str, layer: str) -> None:
        self._ask("fail_accelerator", node=node, layer=layer)

    def restore_accelerator(self, node: str) -> None:
        """Mend what PID 1 broke; a node whose accelerator is lost all the same is started again. Idempotent."""
        self._ask("restore_accelerator", node=node)
        if self.deployment.accelerator == "cuda" and not self._accelerator_works(node):
            self._ask("kill", name=node, number=int(signals.SIGKILL))
            self._ask("start_node", name=node)

    def slow_accelerator(self, node: str, delay_ms: float) -> None:
        self._ask("slow_accelerator", node=node, delay_ms=delay_ms)

    def speed_accelerator(self, node: str) -> None:
        self._ask("speed_accelerator", node=node)

    def _accelerator_works(self, node: str) -> bool:
        """Whether ``node`` says so within 10 s after it has used its accelerator once, in which it starts a lost one.

        A node that does not answer yet has just been started, and finds its accelerator by itself.
        """
        with contextlib.suppress(httpx.HTTPError):
            body, headers = {"user": "recdr-look", "k": 5}, {NODE_HEADER: node}
            httpx.post(f"{self.deployment.ops_url}/v1/recommend", json=body, headers=headers, timeout=2.0)
        end_s = time.monotonic() + BACK_S
        while (state := self.observe(node)) is not None and state.get("accelerator_state") != "ok":
            if time.monotonic() > end_s:
                return False
            time.sleep(LOOK_S)
        return True
