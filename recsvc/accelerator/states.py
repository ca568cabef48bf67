"""Runs the model on the accelerator while it works, on a warm CPU session when it does not.

    ok ──a run fails, its process ends or hangs──> degraded ──a trial run succeeds──> recovering ──two more──> ok
                                                      ^──────────a trial run fails─────────┘

The run that finds the accelerator broken is repeated on the CPU at once, so no request fails with it. Who gives a
lost accelerator its trial runs, and when, is told in `recsvc.accelerator.supervisor`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np

from recsvc.accelerator.device import DEVICE_ERRORS, MODEL, Arrays, Boundary, Device, DeviceLost, NotFailable

log = logging.getLogger(__name__)

TRIALS_TO_RECOVER = 3


class AcceleratorState(StrEnum):
    """See the module's drawing."""

    OK = "ok"
    DEGRADED = "degraded"
    RECOVERING = "recovering"


class Accelerator:
    """A device, its warm fallback (None where the device is the CPU itself), and which of them to use.

    ``restarts`` counts how often the device was started anew. `run` is called from one thread, `try_again` from
    another; all else from any.
    """

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
        self._changing = threading.Lock()
        self._warm: list[tuple[Arrays, str]] = []
        self.restarts = 0
        self.on_loss: Callable[[], None] = _nobody
        self.on_restore: Callable[[], None] = _nobody
        self.on_close: Callable[[], None] = _nobody
        self.state, self.reason = AcceleratorState.OK, lost
        if lost:
            self.state = AcceleratorState.DEGRADED

    @property
    def name(self) -> str:
        """What the node is meant to compute on: ``cuda``, ``simulated`` or ``cpu``."""
        return self._device.name

    @property
    def xids(self) -> Mapping[int, int]:
        """How often NVML told of each XID since the node started."""
        return dict(self._boundary.xids.counts)

    @property
    def degraded(self) -> bool:
        return self.state is not AcceleratorState.OK

    def fall_back_on(self, fallback: Device) -> None:
        """Give an accelerator that was opened first its fallback; called before anybody asks."""
        self._fallback = fallback

    def run(self, feeds: Arrays, graph: str = MODEL) -> tuple[Arrays, str]:
        """Run ``graph``; return its outputs and which device computed them. Called from one thread."""
        if self._fallback is None:
            return self._device.run(feeds, graph), self._device.name
        if self.state is AcceleratorState.OK:
            try:
                self._boundary.cross()
                return self._device.run(feeds, graph), self._device.name
            except DEVICE_ERRORS as error:
                self.lose(str(error))
        return self._fallback.run(feeds, graph), self._fallback.name

    def warm_up(self, feeds: Arrays, graph: str = MODEL) -> None:
        """Run both sessions, so that neither pays for its first run in a request; a new process is given the same.

        A device that is lost by then starts degraded; raises one of DEVICE_ERRORS where there is no fallback.
        """
        self._warm.append((feeds, graph))
        if self._fallback is not None:
            self._fallback.warm_up(feeds, graph)
        if self.degraded:
            return
        try:
            self._device.warm_up(feeds, graph)
        except DEVICE_ERRORS as error:
            if self._fallback is None:
                raise
            self.lose(str(error))

    def try_again(self, feeds: Arrays) -> None:
        """Start a lost device anew where it must be, and give it one trial run."""
        try:
            self._boundary.cross()
            if self._device.revive():
                self.restarts += 1
                for warm, graph in self._warm:
                    self._device.warm_up(warm, graph)
            _must_be_sound(self._device.run(feeds))
        except DEVICE_ERRORS as error:
            self.lose(str(error))
            return
        with self._changing:
            if self.state is AcceleratorState.OK:  # it was only suspected
                return
            self._sound_trials += 1
            if self._sound_trials >= TRIALS_TO_RECOVER:
                self._sound_trials = 0
                self._change(AcceleratorState.OK, None)
            else:
                self._change(AcceleratorState.RECOVERING, self.reason)

    def lose(self, reason: str) -> None:
        """Use the device no more until trial runs succeed; what NVML said of it is the better reason."""
        if held := self._boundary.xids.held:
            reason = str(held)
        with self._changing:
            self._sound_trials = 0
            self._change(AcceleratorState.DEGRADED, reason)
        self.on_loss()

    def fail(self, layer: str) -> None:
        """Break the device at ``layer``; raises `NotFailable` or `gpu_trap.TrapError`."""
        try:
            self._device.fail(layer)
        except DeviceLost as error:  # a driver that hangs on it: as broken as was asked for
            self.lose(str(error))

    def restore(self) -> None:
        """Undo `fail`, and let a lost device be tried at once."""
        self._device.restore()
        self.on_restore()

    def slow(self, delay_s: float) -> None:
        """Let every run on the device take ``delay_s`` longer; raises `NotFailable` where there is no device."""
        if self._fallback is None and delay_s:
            raise NotFailable(
                "This node has no accelerator to slow down: start it with --accelerator simulated or cuda."
            )
        self._boundary.delay_s = delay_s

    def close(self) -> None:
        """End the device's process, if it has one; idempotent. Nobody may ask any more."""
        self.on_close()
        self._device.close()

    def _change(self, state: AcceleratorState, reason: str | None) -> None:
        if state is not self.state:
            log.warning("accelerator %s", state, extra={"data": {"accelerator": self.name, "reason": reason}})
        self.state, self.reason = state, reason


def _nobody() -> None:
    """Nobody supervises this accelerator."""


def _must_be_sound(outputs: Arrays) -> None:
    """A trial run whose scores are not numbers is none: raises DeviceLost."""
    for name, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DeviceLost(f"A trial run gave {name} that are not numbers.")
