"""What the model runs on, as the rest of the service sees it; and what drills simulate in front of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from recsvc.accelerator.xid import Xids

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
MODEL = "model"
"""The name of the graph that every device has."""

Arrays = dict[str, NDArray[Any]]
Graphs = Path | Mapping[str, Path]
"""One ONNX file, which is then called MODEL; or several by name, MODEL among them."""


class DeviceLost(Exception):  # noqa: N818 - a state of the device, named so in the answer
    """The device's process is gone or does not answer; ``str()`` says what was seen."""


DEVICE_ERRORS = (Fail, RuntimeException, DeviceLost)
"""What a run on a lost device raises: Fail from copies, RuntimeException from kernels, DeviceLost from its process."""


class NotFailable(Exception):  # noqa: N818 - becomes the problem of that name
    """This device cannot be failed as asked; ``str()`` says what can be done."""


@dataclass
class Boundary:
    """What drills simulate where the inference runtime hands over to the device, and what NVML says of it.

    One a node, as a device is: it outlives releases and the device's processes. ``failed``: runs raise what a lost
    CUDA context raises; ``kills``: each process is killed as soon as it has started; ``delay_s`` is how much longer
    than usual every run takes.
    """

    failed: bool = False
    kills: bool = False
    delay_s: float = 0.0
    xids: Xids = field(default_factory=Xids)

    def cross(self) -> None:
        if self.delay_s:
            time.sleep(self.delay_s)


class Device(Protocol):
    """Something the model runs on."""

    name: str

    def run(self, feeds: Arrays, graph: str = MODEL) -> Arrays:
        """Run ``graph`` once; raises one of DEVICE_ERRORS when the device is lost."""

    def warm_up(self, feeds: Arrays, graph: str = MODEL) -> None:
        """Run what takes longer the first time; raises as `run`."""

    def revive(self) -> bool:
        """Start a lost device anew and return True, a sound one False; raises one of DEVICE_ERRORS where that fails."""

    def fail(self, layer: str) -> None:
        """Break the device on purpose; raises `NotFailable`."""

    def restore(self) -> None:
        """Undo `fail` where that is possible; does nothing otherwise."""

    def close(self) -> None:
        """End whatever the device runs in; idempotent."""


def by_name(graphs: Graphs) -> dict[str, Path]:
    """Return ``graphs`` as a mapping from name to file."""
    return {MODEL: graphs} if isinstance(graphs, Path) else dict(graphs)


def sample_feeds(batch: int, length: int, k: int) -> Arrays:
    """Inputs of the model's real shapes: ``history`` and ``seen`` int64 [batch, length], ``k`` int64 [1]."""
    ones = np.ones((batch, length), dtype=np.int64)
    return {"history": ones, "seen": ones, "k": np.array([k], dtype=np.int64)}


def what_can_fail(name: str, layer: str) -> str:
    """Why ``layer`` of the device ``name`` cannot be failed, and which can."""
    layers = {"cuda": "context", "simulated": "simulated"}
    if name in layers:
        return f"A {name} accelerator fails at the layer {layers[name]!r} or 'process', not {layer!r}."
    return "This node computes on its CPU, which cannot be lost: start it with --accelerator simulated or cuda."
