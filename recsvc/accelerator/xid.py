"""What the driver reports of a GPU, by number (XID), and what a node does about each.

Meanings and recovery actions are those of NVIDIA's catalogue for Ampere and newer,
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html. NVML tells a number and a device and no process:
an application's error may be another application's, so it is no loss before a trial run has failed.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

log = logging.getLogger(__name__)


class Reaction(StrEnum):
    """CHECK: a trial run; if that fails, another process. RESET, RESTART_MACHINE: let go of the device. NOTE: count."""

    CHECK = "check"
    RESET = "reset"
    RESTART_MACHINE = "restart machine"
    NOTE = "note"


@dataclass(frozen=True)
class Xid:
    """One entry of the table; ``str()`` is what people read."""

    number: int
    meaning: str
    reaction: Reaction

    def __str__(self) -> str:
        return f"XID {self.number}, {self.meaning}{_DEMANDS.get(self.reaction, '')}"


_DEMANDS = {
    Reaction.RESET: ": the device needs a reset",
    Reaction.RESTART_MACHINE: ": restart the machine",
}
_TABLE = (
    (13, "graphics engine exception", Reaction.CHECK),
    (31, "memory page fault", Reaction.CHECK),
    (43, "the GPU stopped processing", Reaction.CHECK),
    (45, "preemptive cleanup after earlier errors", Reaction.CHECK),
    (48, "double-bit ECC error", Reaction.RESET),
    (62, "internal micro-controller halt", Reaction.RESET),
    (63, "a row remapping was recorded", Reaction.NOTE),
    (64, "a row remapping could not be recorded", Reaction.RESET),
    (74, "NVLink error", Reaction.CHECK),
    (79, "the GPU has fallen off the bus", Reaction.RESTART_MACHINE),
    (94, "contained memory error", Reaction.CHECK),
    (95, "uncontained memory error", Reaction.RESET),
    (109, "context switch timeout", Reaction.RESET),
    (119, "the GPU system processor did not answer a call", Reaction.RESET),
    (120, "error of the GPU system processor", Reaction.RESET),
    (140, "unrecovered ECC error", Reaction.RESET),
    (154, "the recovery action has changed, see the kernel's log", Reaction.NOTE),
)
XIDS = {number: Xid(number, meaning, reaction) for number, meaning, reaction in _TABLE}


def classify(number: int) -> Xid:
    """The entry of an XID; one that is not in the table is looked into by a trial run."""
    return XIDS.get(number) or Xid(number, "not known here", Reaction.CHECK)


class Xids:
    """What NVML has said since the node started: ``counts`` by number, and what the device is ``held`` back for."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.held: Xid | None = None
        self.lifted = threading.Event()
        self.lifted.set()
        self._told: list[Callable[[Xid], None]] = []
        self._watching = threading.Lock()

    def tell(self, whom: Callable[[Xid], None]) -> None:
        """Call ``whom`` with each XID from now on, in the watcher's thread."""
        self._told.append(whom)

    def forget(self, whom: Callable[[Xid], None]) -> None:
        self._told.remove(whom)

    def seen(self, number: int) -> None:
        """Count an XID, and act on it."""
        xid = classify(number)
        self.counts[number] += 1
        log.warning("xid", extra={"data": {"xid": number, "meaning": xid.meaning, "reaction": xid.reaction}})
        if xid.reaction in _DEMANDS:
            self.held = xid
            self.lifted.clear()
        for whom in list(self._told):
            whom(xid)

    def lift(self) -> None:
        """The device is mended, as somebody says or as its trial runs have shown."""
        self.held = None
        self.lifted.set()

    def watch(self, bus_id: str | None) -> None:
        """Start to listen to NVML for the GPU at ``bus_id`` (None: for all), where there is NVML; only once."""
        from recsvc.accelerator import nvml  # noqa: PLC0415 - it needs what stands here

        if self._watching.acquire(blocking=False):
            nvml.Watcher(self, bus_id).start()
