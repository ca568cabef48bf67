"""Runs the model on the accelerator while it works, on a warm CPU session when it does not.

    ok ──a run fails──> degraded ──a trial run succeeds──> recovering ──two more──> ok
                            ^───────────a trial run fails──────┘

The run that finds the accelerator broken is repeated on the CPU at once, so no request fails with it. Trial
runs come once a second. After a sticky CUDA error they all fail: such a node stays degraded until it is
restarted.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from recsvc import gpu_trap, sessions

log = logging.getLogger(__name__)

TRIAL_PERIOD_S = 1.0
TRIALS_TO_RECOVER = 3
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
DEVICE_ERRORS = (Fail, RuntimeException)
"""What onnxruntime raises when a CUDA call fails: Fail from copies, RuntimeException from kernels."""

Arrays = dict[str, NDArray[Any]]


class AcceleratorState(StrEnum):
    """See the module's drawing."""

    OK = "ok"
    DEGRADED = "degraded"
    RECOVERING = "recovering"


class NotFailable(Exception):  # noqa: N818 - becomes the problem of that name
    """This device cannot be failed as asked; ``str()`` says what can be done."""


@dataclass
class Boundary:
    """What drills simulate where the inference runtime hands over to the device: one a process, as a device is.

    ``delay_s`` is how much longer than usual every run on the device takes.
    """

    failed: bool = False
    delay_s: float = 0.0

    def cross(self) -> None:
        if self.delay_s:
            time.sleep(self.delay_s)


class Device(Protocol):
    """Something the model runs on."""

    name: str

    def run(self, feeds: Arrays) -> Arrays:
        """Run the model once; raises one of DEVICE_ERRORS when the device is lost."""

    def fail(self, layer: str) -> None:
        """Break the device on purpose; raises `NotFailable`."""

    def restore(self) -> None:
        """Undo `fail` where that is possible; does nothing otherwise."""


class SessionDevice:
    """An onnxruntime session on one execution provider: ``cpu`` or ``cuda``."""

    def __init__(self, name: str, model: Path, threads: int) -> None:
        self.name = name
        providers = [CUDA, CPU] if name == "cuda" else [CPU]
        self._session = onnxruntime.InferenceSession(str(model), sessions.options(threads), providers=providers)
        self.providers: list[str] = self._session.get_providers()
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Arrays) -> Arrays:
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))

    def fail(self, layer: str) -> None:
        if self.name != "cuda" or layer != "context":
            raise NotFailable(_what_can_fail(self.name, layer))
        result = gpu_trap.spring()
        log.warning("trap kernel sprung", extra={"data": {"cu_result": result}})

    def restore(self) -> None:
        """A broken CUDA context cannot be mended from within its process."""


class SimulatedDevice:
    """A CPU session behind a boundary that can be failed, raising what a lost CUDA context raises."""

    name = "simulated"

    def __init__(self, model: Path, threads: int, boundary: Boundary) -> None:
        self._session, self._boundary = SessionDevice("cpu", model, threads), boundary

    def run(self, feeds: Arrays) -> Arrays:
        if self._boundary.failed:
            raise Fail("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 719: unspecified launch failure ; (simulated)")
        return self._session.run(feeds)

    def fail(self, layer: str) -> None:
        if layer != "simulated":
            raise NotFailable(_what_can_fail(self.name, layer))
        self._boundary.failed = True

    def restore(self) -> None:
        self._boundary.failed = False


def _what_can_fail(name: str, layer: str) -> str:
    layers = {"cuda": "context", "simulated": "simulated"}
    if name in layers:
        return f"A {name} accelerator fails at the layer {layers[name]!r}, not {layer!r}."
    return "This node computes on its CPU, which cannot be lost: start it with --accelerator simulated or cuda."


class Accelerator:
    """A device, its warm fallback (None where the device is the CPU itself), and which of them to use."""

    def __init__(
        self,
        device: Device,
        fallback: Device | None,
        *,
        lost: str | None = None,
        boundary: Boundary | None = None,
    ) -> None:
        self._device, self._fallback, self._sound_trials = device, fallback, 0
        self._boundary = boundary or Boundary()
        self.state, self.reason = AcceleratorState.OK, lost
        if lost:
            self.state = AcceleratorState.DEGRADED

    @property
    def name(self) -> str:
        """What the node is meant to compute on: ``cuda``, ``simulated`` or ``cpu``."""
        return self._device.name

    @property
    def degraded(self) -> bool:
        return self.state is not AcceleratorState.OK

    def run(self, feeds: Arrays) -> tuple[Arrays, str]:
        """Run the model; return its outputs and which device computed them. Called from one thread."""
        if self._fallback is None:
            return self._device.run(feeds), self._device.name
        if self.state is AcceleratorState.OK:
            try:
                self._boundary.cross()
                return self._device.run(feeds), self._device.name
            except DEVICE_ERRORS as error:
                self._change(AcceleratorState.DEGRADED, str(error))
        return self._fallback.run(feeds), self._fallback.name

    def warm_up(self, feeds: Arrays) -> None:
        """Run both sessions once, so that neither pays for its first run in a request.

        A device that is lost by then starts degraded; raises one of DEVICE_ERRORS where there is no fallback.
        """
        if self._fallback is not None:
            self._fallback.run(feeds)
        if self.degraded:
            return
        try:
            self._device.run(feeds)
        except DEVICE_ERRORS as error:
            if self._fallback is None:
                raise
            self._change(AcceleratorState.DEGRADED, str(error))

    def try_again(self, feeds: Arrays) -> None:
        """One trial run of a lost device; called from the same thread as `run`."""
        try:
            self._boundary.cross()
            self._device.run(feeds)
        except DEVICE_ERRORS as error:
            self._sound_trials = 0
            self._change(AcceleratorState.DEGRADED, str(error))
            return
        self._sound_trials += 1
        if self._sound_trials >= TRIALS_TO_RECOVER:
            self._sound_trials = 0
            self._change(AcceleratorState.OK, None)
        else:
            self._change(AcceleratorState.RECOVERING, self.reason)

    def fail(self, layer: str) -> None:
        """Break the device at ``layer``; raises `NotFailable` or `gpu_trap.TrapError`."""
        self._device.fail(layer)

    def restore(self) -> None:
        self._device.restore()

    def slow(self, delay_s: float) -> None:
        """Let every run on the device take ``delay_s`` longer; raises `NotFailable` where there is no device."""
        if self._fallback is None and delay_s:
            raise NotFailable(
                "This node has no accelerator to slow down: start it with --accelerator simulated or cuda."
            )
        self._boundary.delay_s = delay_s

    def _change(self, state: AcceleratorState, reason: str | None) -> None:
        if state is not self.state:
            log.warning("accelerator %s", state, extra={"data": {"accelerator": self.name, "reason": reason}})
        self.state, self.reason = state, reason


def open_accelerator(
    choice: str,
    model: Path,
    threads: int,
    sample: Arrays,
    boundary: Boundary | None = None,
    *,
    fallback: Path | None = None,
) -> Accelerator:
    """Return the accelerator for ``auto``, ``cuda``, ``cpu`` or ``simulated``.

    ``auto`` is CUDA where a run of ``sample`` on it succeeds, else the CPU. ``cuda`` without a working device
    starts degraded on the CPU: a node that lost its GPU has to come up all the same. ``fallback`` is the graph file
    that the CPU runs, where that is not ``model``.
    """
    cpu, boundary = SessionDevice("cpu", fallback or model, threads), boundary or Boundary()
    if choice == "simulated":
        return Accelerator(SimulatedDevice(model, threads, boundary), cpu, boundary=boundary)
    if choice == "cpu":
        return Accelerator(cpu, None)
    device, why_not = _open_cuda(model, threads, sample)
    if device is not None:
        return Accelerator(device, cpu, boundary=boundary)
    log.info("no CUDA device", extra={"data": {"reason": why_not}})
    if choice == "auto":
        return Accelerator(cpu, None)
    return Accelerator(_Absent(why_not), cpu, lost=why_not, boundary=boundary)


class _Absent:
    """The CUDA device that was asked for and is not there."""

    name = "cuda"

    def __init__(self, why: str) -> None:
        self._why = why

    def run(self, feeds: Arrays) -> Arrays:
        del feeds
        raise Fail(self._why)

    def fail(self, layer: str) -> None:
        raise NotFailable(f"The accelerator is lost already, at no layer {layer!r}: {self._why}")

    def restore(self) -> None:
        """Only a restart finds a device that has come back."""


def _open_cuda(model: Path, threads: int, sample: Arrays) -> tuple[Device | None, str]:
    if CUDA not in onnxruntime.get_available_providers():
        return None, "This onnxruntime was built without CUDA."
    if not gpu_trap.device_present():
        return None, "The CUDA driver is missing or sees no device."
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds the CUDA libraries in pip's nvidia-* packages
        onnxruntime.preload_dlls(directory="")
    try:
        device = SessionDevice("cuda", model, threads)
        if device.providers[0] != CUDA:
            return None, "onnxruntime could not load its CUDA provider (CUDA or cuDNN libraries are missing)."
        device.run(sample)
    except DEVICE_ERRORS as error:
        return None, f"A trial run on CUDA failed: {error}"
    return device, ""


def sample_feeds(batch: int, length: int, k: int) -> Arrays:
    """Inputs of the model's real shapes: ``history`` and ``seen`` int64 [batch, length], ``k`` int64 [1]."""
    ones = np.ones((batch, length), dtype=np.int64)
    return {"history": ones, "seen": ones, "k": np.array([k], dtype=np.int64)}
