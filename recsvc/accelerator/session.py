"""onnxruntime sessions in the process that calls them."""

from __future__ import annotations

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from recsvc import gpu_trap, sessions
from recsvc.accelerator.device import CPU, CUDA, MODEL, Arrays, Boundary, Graphs, NotFailable, by_name, what_can_fail
from recsvc.binding import BoundSession

SIMULATED_ERROR = "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 719: unspecified launch failure ; (simulated)"


class SessionDevice:
    """A session a graph on one execution provider: ``cpu`` or ``cuda``."""

    def __init__(self, name: str, graphs: Graphs, threads: int) -> None:
        self.name = name
        options = sessions.options(threads)
        providers = [CUDA, CPU] if name == "cuda" else [CPU]
        self._sessions = {
            graph: onnxruntime.InferenceSession(str(path), options, providers=providers)
            for graph, path in by_name(graphs).items()
        }
        self.providers: list[str] = self._sessions[MODEL].get_providers()
        # A GPU's outputs have their place before the run.
        self._bound = {graph: BoundSession(session) for graph, session in self._sessions.items() if name == "cuda"}
        self._outputs = {
            graph: [output.name for output in session.get_outputs()] for graph, session in self._sessions.items()
        }

    def run(self, feeds: Arrays, graph: str = MODEL) -> Arrays:
        if graph in self._bound:
            return self._bound[graph].run(feeds)
        outputs = self._outputs[graph]
        return dict(zip(outputs, self._sessions[graph].run(outputs, feeds), strict=True))

    def warm_up(self, feeds: Arrays, graph: str = MODEL) -> None:
        self.run(feeds, graph)

    def revive(self) -> bool:
        """Nothing to start: what is lost within a process is lost for good."""
        return False

    def fail(self, layer: str) -> None:
        if self.name != "cuda" or layer != "context":
            raise NotFailable(what_can_fail(self.name, layer))
        gpu_trap.spring()

    def restore(self) -> None:
        """A broken CUDA context cannot be mended from within its process."""

    def close(self) -> None:
        """Sessions end with their last user."""


class SimulatedDevice(SessionDevice):
    """A CPU session behind a boundary that can be failed, raising what a lost CUDA context raises."""

    def __init__(self, graphs: Graphs, threads: int, boundary: Boundary) -> None:
        super().__init__("cpu", graphs, threads)
        self.name, self._boundary = "simulated", boundary

    def run(self, feeds: Arrays, graph: str = MODEL) -> Arrays:
        if self._boundary.failed:
            raise Fail(SIMULATED_ERROR)
        return super().run(feeds, graph)

    def fail(self, layer: str) -> None:
        if layer != "simulated":
            raise NotFailable(what_can_fail(self.name, layer))
        self._boundary.failed = True

    def restore(self) -> None:
        self._boundary.failed = False


def open_cuda(graphs: Graphs, threads: int) -> SessionDevice:
    """Return a session on the GPU; raises `NoCuda`, or Fail or RuntimeException where the driver does."""
    if CUDA not in onnxruntime.get_available_providers():
        raise NoCuda("This onnxruntime was built without CUDA.")
    if not gpu_trap.device_present():
        raise NoCuda("The CUDA driver is missing or sees no device.")
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds the CUDA libraries in pip's nvidia-* packages
        onnxruntime.preload_dlls(directory="")
    device = SessionDevice("cuda", graphs, threads)
    if device.providers[0] != CUDA:
        raise NoCuda("onnxruntime could not load its CUDA provider (CUDA or cuDNN libraries are missing).")
    return device


class NoCuda(Exception):  # noqa: N818 - what is found, named so in the answer
    """CUDA cannot be used here; ``str()`` says why."""
