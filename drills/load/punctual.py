"""What an unprivileged process can do to be woken in time on a busy machine. All of it is refused silently."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from pathlib import Path

NICENESS = 5
SLICE_NS = 100_000
"""The shortest slice that Linux grants (0.1 ms)."""
_SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


class _SchedAttr(ctypes.Structure):
    """``struct sched_attr`` of sched_setattr(2), in its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("sched_policy", ctypes.c_uint32),
        ("sched_flags", ctypes.c_uint64),
        ("sched_nice", ctypes.c_int32),
        ("sched_priority", ctypes.c_uint32),
        ("sched_runtime", ctypes.c_uint64),
        ("sched_deadline", ctypes.c_uint64),
        ("sched_period", ctypes.c_uint64),
    )


def be_punctual() -> bool:
    """Have this process woken as soon as it has something to do; returns whether Linux granted the short slice.

    Since Linux 6.12 the slice of an ordinary process can be chosen: one with a short slice runs no more than others in
    all, but sooner after it wakes.
    """
    calm()
    return short_slice()


def short_slice(slice_ns: int = SLICE_NS) -> bool:
    """Ask for a scheduling slice of ``slice_ns``; False where the kernel refuses."""
    number = _SYS_SCHED_SETATTR.get(os.uname().machine)
    if number is None:
        return False
    attr = _SchedAttr(size=ctypes.sizeof(_SchedAttr), sched_nice=os.getpriority(os.PRIO_PROCESS, 0))
    attr.sched_runtime = slice_ns
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(number, 0, ctypes.byref(attr), 0) == 0)


def calm() -> None:
    """No pauses for cyclic garbage among what was there at the start; the rest is still collected."""
    gc.collect()
    gc.freeze()


def give_way(niceness: int = NICENESS) -> None:
    """Leave the processors to others: this process, and its scheduling group where each session has one."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))
