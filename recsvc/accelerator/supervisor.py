"""Sees to a device's process: notices its end, starts another, tries it, and lets it serve again.

A loss is answered at once with another process, a loss soon after that with a pause that doubles up to 5 s: a device
that cannot come back costs little, one that can is back as soon as its process has started, is warm and has run three
times. Whoever mends a device says so (`restore`), and it is tried then.
"""

from __future__ import annotations

import math
import os
import threading
import time

from recsvc.accelerator.device import Arrays, Boundary
from recsvc.accelerator.link import hung_up
from recsvc.accelerator.process import ProcessDevice
from recsvc.accelerator.states import Accelerator, AcceleratorState
from recsvc.accelerator.xid import Reaction, Xid

TRIAL_PERIOD_S = 0.1
"""Between a process's trial runs: one that dies after its first runs must not serve."""
BACK_OFF_S = 0.25
BACK_OFF_MOST_S = 5.0
STABLE_S = 1.0
"""A device that was ok for so long has come back: its next loss is a new one."""
RETRY_S: dict[Reaction, float | None] = {Reaction.RESET: 60.0, Reaction.RESTART_MACHINE: None}
"""How often a device is tried that NVML has given up; None: not again."""


class Supervisor(threading.Thread):
    """One a `ProcessDevice`. Processes are its children, so the kernel ends them with this thread."""

    def __init__(self, accelerator: Accelerator, device: ProcessDevice, boundary: Boundary, sample: Arrays) -> None:
        super().__init__(name="accelerator", daemon=True)
        self.first_tried = threading.Event()
        self._accelerator, self._device, self._xids, self._sample = accelerator, device, boundary.xids, sample
        self._wake: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._waking = threading.Lock()
        self._closed = self._suspected = self._restored = False
        self._failures, self._ok_since_s = 0, 0.0
        accelerator.on_loss, accelerator.on_restore = self._rouse, self._restore
        accelerator.on_close = self._close

    def run(self) -> None:
        """Start the first process, then see to it until closed."""
        self._xids.tell(self._on_xid)
        self._start_first()
        while not self._closed:
            if self._accelerator.degraded:
                self._recover()
            else:
                self._watch()
        self._xids.forget(self._on_xid)
        self._device.close()

    def _start_first(self) -> None:
        """A device that cannot be opened starts degraded."""
        try:
            self._device.revive()
            self._device.run(self._sample)
        except Exception as error:  # whatever a model or driver raises, the node starts on its CPU
            self._accelerator.lose(str(error))
            self._failures = 1
        self._ok_since_s = time.monotonic()
        self.first_tried.set()

    def _watch(self) -> None:
        """Wait until the process ends, or somebody has noticed something else."""
        if self._hung_up():
            self._accelerator.lose("The session's process has ended.")
            self._device.let_go()  # or the first try would be wasted on it
        elif self._suspected:
            self._suspected = False
            self._try()
        if self._accelerator.degraded:
            self._failures = 0 if time.monotonic() - self._ok_since_s > STABLE_S else self._failures + 1

    def _recover(self) -> None:
        """Wait as long as is due, then try once more."""
        if self._xids.held and self._accelerator.state is AcceleratorState.DEGRADED:
            self._device.let_go()
        self._pause(self._due_s())
        if self._closed:
            return
        self._try()
        if self._accelerator.state is AcceleratorState.OK:
            self._ok_since_s = time.monotonic()
            self._xids.lift()
        elif self._accelerator.state is AcceleratorState.DEGRADED:
            self._failures += 1

    def _due_s(self) -> float | None:
        """How long to wait before the next try; None: until somebody says that the device is mended."""
        if self._accelerator.state is AcceleratorState.RECOVERING:
            return TRIAL_PERIOD_S
        if held := self._xids.held:
            return RETRY_S[held.reaction]
        return min(BACK_OFF_S * 2 ** (self._failures - 1), BACK_OFF_MOST_S) if self._failures else 0.0

    def _pause(self, due_s: float | None) -> None:
        end_s = time.monotonic() + (math.inf if due_s is None else due_s)
        while not (self._closed or self._restored) and (left_s := end_s - time.monotonic()) > 0:
            self._hung_up(left_s, looking=False)
        if self._restored:
            self._restored, self._failures = False, 0

    def _try(self) -> None:
        try:
            self._accelerator.try_again(self._sample)
        except Exception as error:  # no memory for a process, say: that is a device that cannot be used, too
            self._accelerator.lose(str(error))

    def _hung_up(self, within_s: float = math.inf, *, looking: bool = True) -> bool:
        wake = self._wake
        assert wake is not None, "closed by this thread alone"
        return hung_up(self._device.link if looking else None, wake, within_s)

    def _rouse(self) -> None:
        with self._waking:
            if self._wake is not None:
                os.eventfd_write(self._wake, 1)

    def _restore(self) -> None:
        self._xids.lift()
        self._restored = True
        self._rouse()

    def _close(self) -> None:
        """End the thread and its process; from any thread."""
        self._closed = True
        self._device.stop()
        self._rouse()
        self.join()
        with self._waking:
            if self._wake is not None:
                os.close(self._wake)
                self._wake = None

    def _on_xid(self, xid: Xid) -> None:
        """Called by the watcher of NVML."""
        if xid.reaction is Reaction.CHECK:
            self._suspected = True
            self._rouse()
        elif xid.reaction in RETRY_S:
            self._accelerator.lose(str(xid))
            self._device.kill()
