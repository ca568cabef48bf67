"""Runs a session whose device has its own memory, through one IO binding with outputs allocated once.

A plain ``run`` allocates each output anew and leaves it to the runtime where. Here outputs have their place before
the run: the device copies what is asked for, k columns a user, straight into it, and nothing of the size of the
catalogue ever leaves the device. Tested with the CPU as the device; on a GPU it has not run yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class BoundSession:
    """One session of the serving graph; used by one thread."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session, self._binding = session, session.io_binding()
        user = next(output for output in session.get_outputs() if output.name == "user")
        self._dimensions = int(user.shape[1])
        self._places: dict[str, NDArray[Any]] = {}

    def run(self, feeds: Arrays) -> Arrays:
        """Return ``items`` int64 [batch, k], ``scores`` float32 [batch, k] and ``user`` float32 [batch, d]."""
        batch, k = len(feeds["seen"]), int(feeds["k"][0])
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        for name, array in feeds.items():
            # Not bind_cpu_input: it does not find inputs that have a default.
            value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
            self._binding.bind_ortvalue_input(name, value)
        outputs = {
            "items": self._place("items", (batch, k), np.int64),
            "scores": self._place("scores", (batch, k), np.float32),
            "user": self._place("user", (batch, self._dimensions), np.float32),
        }
        for name, place in outputs.items():
            self._binding.bind_output(name, "cpu", 0, place.dtype.type, place.shape, place.ctypes.data)
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        # Copied, for the next run writes to the same place while these are still being sent.
        return {name: place.copy() for name, place in outputs.items()}

    def _place(self, name: str, shape: tuple[int, int], kind: type[np.generic]) -> NDArray[Any]:
        """The first part of an allocation that only ever grows."""
        size = shape[0] * shape[1]
        held = self._places.get(name)
        if held is None or held.size < size:
            held = self._places[name] = np.empty(max(size, 2 * (held.size if held is not None else 0)), dtype=kind)
        return held[:size].reshape(shape)
