"""Arrays in memory that two processes share, and the messages that say where they lie.

Each direction has a memory of its own, written by one side and enlarged by that side alone. It has no name (memfd),
so the kernel frees it with the last process that holds it, however that ends; and it is sealed against shrinking, or
a process gone mad could end the other by cutting off what it reads (SIGBUS).
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

FIRST_BYTES = 1 << 20
ALIGNED = 64
"""Where arrays begin, so that vector instructions and onnxruntime take them as they lie."""

Placed = tuple[str, str, tuple[int, ...]]
"""An array's name, its dtype as numpy writes it, and its shape; arrays follow one another."""


class Ask(msgspec.Struct, array_like=True):
    """To the session's process: run ``graph`` on ``arrays``; with ``trap`` break the CUDA context instead.

    ``held`` is the size of the memory in bytes, ``failed`` whether the run must fail as on a lost context. ``number``
    counts a process's asks from 1, and its reply carries it: no late reply can be taken for another's.
    """

    number: int
    graph: str
    arrays: list[Placed]
    held: int
    failed: bool = False
    trap: bool = False


class Reply(msgspec.Struct, array_like=True):
    """From it: ``arrays``; or an ``error``, and whether the device is ``lost`` or only this run was wrong.

    The first reply, to nothing, says that the sessions are open; ``bus_id`` is the GPU's address then, if there is one,
    and ``number`` 0.
    """

    number: int
    arrays: list[Placed]
    held: int
    error: str | None = None
    lost: bool = False
    bus_id: str | None = None


def create(name: str) -> int:
    """Return the descriptor of new shared memory; ``name`` is what /proc shows."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, FIRST_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return fd


class Memory:
    """One direction's memory, seen from one side."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, FIRST_BYTES)

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> list[Placed]:
        """Put ``arrays`` one after another, enlarging the memory where they need it; returns where they lie."""
        needed = sum([_aligned(array.nbytes) for array in arrays.values()])
        if needed > len(self._map):
            os.ftruncate(self._fd, 2 * needed)
            self.see(2 * needed)
        begin, placed = 0, []
        for name, array in arrays.items():
            size = array.nbytes
            self._map[begin : begin + size] = np.ascontiguousarray(array).data  # a fifth of the time of numpy's copy
            placed.append((name, _text(array.dtype), array.shape))
            begin += _aligned(size)
        return placed

    def read(self, placed: list[Placed]) -> dict[str, NDArray[Any]]:
        """Return views of what lies there: they change when the other side writes again."""
        begin, arrays = 0, {}
        for name, dtype, shape in placed:
            arrays[name] = view = np.ndarray(shape, _dtype(dtype), self._map, begin)
            begin += _aligned(view.nbytes)
        return arrays

    @property
    def held(self) -> int:
        return len(self._map)

    def see(self, held: int) -> None:
        """Map the memory at its new size, if that is another; views of the old mapping keep it."""
        if held != len(self._map):
            self._map = mmap.mmap(self._fd, held)


@cache
def _text(dtype: np.dtype[Any]) -> str:
    return dtype.str


@cache
def _dtype(text: str) -> np.dtype[Any]:
    return np.dtype(text)


def _aligned(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED
