"""Listens to NVML for a GPU's critical errors.

By ctypes and not by nvidia-ml-py: seven calls of a stable interface that comes with the driver, where that package is
7,000 lines and one more thing to install on every node that has a GPU.
Documented at https://docs.nvidia.com/deploy/nvml-api/group__nvmlEvents.html.

RUN SO FAR AGAINST A LIBRARY THAT STANDS IN FOR NVML (tests/recsvc/serving/fake_nvml.c), not on hardware.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Iterator

from recsvc.accelerator.xid import Xids

log = logging.getLogger(__name__)

LIBRARY = "libnvidia-ml.so.1"
SUCCESS, TIMEOUT = 0, 10
XID_CRITICAL_ERROR = 8
WAIT_MS = 5_000
RETRY_S = 60.0


class EventData(ctypes.Structure):
    """nvmlEventData_t."""

    _fields_ = (
        ("device", ctypes.c_void_p),
        ("event_type", ctypes.c_ulonglong),
        ("event_data", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class NvmlError(Exception):
    """A call of NVML that did not succeed; ``str()`` names it and its nvmlReturn_t."""


class Watcher(threading.Thread):
    """Tells ``xids`` of every XID of the GPU at ``bus_id``, or of all GPUs.

    It lets go of the GPUs while one is held back: a reset needs them unused, by NVML too.
    """

    def __init__(self, xids: Xids, bus_id: str | None) -> None:
        super().__init__(name="nvml", daemon=True)
        self._xids, self._bus_id = xids, bus_id

    def run(self) -> None:
        try:
            nvml = ctypes.CDLL(LIBRARY)
        except OSError:
            return log.info("no NVML: XIDs are not watched")
        while True:
            try:
                self._listen(nvml)
            except NvmlError as error:
                log.warning("NVML", extra={"data": {"error": str(error), "retry_s": RETRY_S}})
                threading.Event().wait(RETRY_S)
            self._xids.lifted.wait()

    def _listen(self, nvml: ctypes.CDLL) -> None:
        """Hand on XIDs until the device is held back."""
        _call(nvml, "nvmlInit_v2")
        events = ctypes.c_void_p()
        try:
            _call(nvml, "nvmlEventSetCreate", ctypes.byref(events))
            for device in _devices(nvml, self._bus_id):
                _call(nvml, "nvmlDeviceRegisterEvents", device, ctypes.c_ulonglong(XID_CRITICAL_ERROR), events)
            while not self._xids.held:
                data = EventData()
                if _call(nvml, "nvmlEventSetWait_v2", events, ctypes.byref(data), ctypes.c_uint(WAIT_MS)) == SUCCESS:
                    self._xids.seen(int(data.event_data))
        finally:
            nvml.nvmlEventSetFree(events)
            nvml.nvmlShutdown()


def _devices(nvml: ctypes.CDLL, bus_id: str | None) -> Iterator[ctypes.c_void_p]:
    device = ctypes.c_void_p()
    if bus_id is not None:
        _call(nvml, "nvmlDeviceGetHandleByPciBusId_v2", bus_id.encode(), ctypes.byref(device))
        yield device
        return
    count = ctypes.c_uint()
    _call(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
    for index in range(count.value):
        _call(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(device))
        yield device


def _call(nvml: ctypes.CDLL, name: str, *arguments: object) -> int:
    result = int(getattr(nvml, name)(*arguments))
    if result not in (SUCCESS, TIMEOUT):
        raise NvmlError(f"{name} returned {result}")
    return result
