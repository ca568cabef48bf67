"""Accelerators that fail, and come back."""

from __future__ import annotations

import contextlib
import signal as signals

import httpx

from drills.targets.base import NODE_HEADER
from drills.targets.local.abilities.asking import Asking


class Accelerators(Asking):
    """Makes the local target GpuFaultable."""

    def accelerator_layer(self, node: str, layer: str) -> str:
        """The layer at which ``node``'s accelerator can be made to fail: ``context`` on a GPU, else ``simulated``."""
        if layer != "auto":
            return layer
        return "context" if self.deployment.accelerator == "cuda" else "simulated"

    def fail_accelerator(self, node: str, layer: str) -> None:
        self._ask("admin", node=node, path="/accelerator/fail", body={"layer": layer})

    def restore_accelerator(self, node: str) -> None:
        """A simulated loss is lifted; after a real one only a new process has a usable CUDA context. Idempotent."""
        if self.deployment.accelerator != "cuda":
            self._ask("admin", node=node, path="/accelerator/restore", body={})
        elif not self._accelerator_works(node):
            self._ask("kill", name=node, number=int(signals.SIGKILL))
            self._ask("start_node", name=node)

    def _accelerator_works(self, node: str) -> bool:
        """Whether ``node`` says so after it has used its accelerator once: it notices a loss only in use."""
        with contextlib.suppress(httpx.HTTPError):
            body, headers = {"user": "recdr-look", "k": 5}, {NODE_HEADER: node}
            httpx.post(f"{self.deployment.ops_url}/v1/recommend", json=body, headers=headers, timeout=2.0)
        return (self.observe(node) or {}).get("accelerator_state") == "ok"
