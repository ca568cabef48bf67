"""Which device a node gets for what it was started with."""

from __future__ import annotations

import logging

from recsvc.accelerator.device import Arrays, Boundary, Graphs
from recsvc.accelerator.process import DEADLINE_S, ProcessDevice, no_driver
from recsvc.accelerator.session import SessionDevice
from recsvc.accelerator.states import Accelerator
from recsvc.accelerator.supervisor import Supervisor

log = logging.getLogger(__name__)


def open_accelerator(
    choice: str,
    model: Graphs,
    threads: int,
    sample: Arrays,
    boundary: Boundary | None = None,
    *,
    fallback: Graphs | None = None,
    alone: Graphs | None = None,
    deadline_s: float = DEADLINE_S,
) -> Accelerator:
    """Return the accelerator for ``auto``, ``cuda``, ``cpu`` or ``simulated``; close it when nobody asks any more.

    ``auto`` is CUDA where a run of ``sample`` on it succeeds, else the CPU. ``cuda`` without a working device
    starts degraded on the CPU, and goes on trying: a node that lost its GPU has to come up all the same. ``fallback``
    is what the CPU runs while the device is lost, ``alone`` what it runs for good where there is none; each ``model``
    where not given. ``deadline_s`` is how long a request may wait: a device that hangs is given up well before.
    """
    on_cpu = model if fallback is None else fallback
    boundary = boundary or Boundary()
    if choice == "cpu" or (choice == "auto" and _why_not()):
        return _cpu_alone(alone or model, threads)
    name = "cuda" if choice == "auto" else choice
    device = ProcessDevice(name, model, threads, boundary, deadline_s)
    # Its process starts while this one opens its own session.
    accelerator = Accelerator(device, None, boundary=boundary)
    supervisor = Supervisor(accelerator, device, boundary, sample)
    supervisor.start()
    try:
        cpu = SessionDevice("cpu", on_cpu, threads)
    except Exception:
        accelerator.close()
        raise
    accelerator.fall_back_on(cpu)
    supervisor.first_tried.wait()
    if choice == "auto" and accelerator.degraded:
        log.info("no CUDA device", extra={"data": {"reason": accelerator.reason}})
        accelerator.close()
        return _cpu_alone(alone or model, threads)
    if name == "cuda":
        boundary.xids.watch(None)  # where the device could not be opened, and so is not known by its address
    return accelerator


def _cpu_alone(graphs: Graphs, threads: int) -> Accelerator:
    return Accelerator(SessionDevice("cpu", graphs, threads), None)


def _why_not() -> str | None:
    """Why ``auto`` means the CPU without a process being started to find out."""
    if why := no_driver():
        log.info("no CUDA device", extra={"data": {"reason": why}})
    return why
