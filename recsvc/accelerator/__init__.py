"""What the model runs on: an accelerator in a supervised process of its own, with the node's CPU behind it."""

from recsvc.accelerator.device import (
    CPU,
    CUDA,
    DEVICE_ERRORS,
    MODEL,
    Arrays,
    Boundary,
    Device,
    DeviceLost,
    Graphs,
    NotFailable,
    sample_feeds,
)
from recsvc.accelerator.opening import open_accelerator
from recsvc.accelerator.session import SessionDevice, SimulatedDevice
from recsvc.accelerator.states import TRIALS_TO_RECOVER, Accelerator, AcceleratorState
from recsvc.accelerator.supervisor import TRIAL_PERIOD_S

__all__ = [
    "CPU",
    "CUDA",
    "DEVICE_ERRORS",
    "MODEL",
    "TRIALS_TO_RECOVER",
    "TRIAL_PERIOD_S",
    "Accelerator",
    "AcceleratorState",
    "Arrays",
    "Boundary",
    "Device",
    "DeviceLost",
    "Graphs",
    "NotFailable",
    "SessionDevice",
    "SimulatedDevice",
    "open_accelerator",
    "sample_feeds",
]
