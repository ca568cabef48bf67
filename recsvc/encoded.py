"""Vectors of users that were encoded before, so that most requests are only scored.

An entry is good for exactly the items it was encoded from. It is looked up together with what the store says now, so
it cannot be stale, whichever node an event went to; an event that this node sees only frees the place earlier. Each
release has a cache of its own: another model's vectors cannot come into it. Answers are not kept, only the encoder's
output: every answer is scored anew.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ENTRY_BYTES = 260
"""Of CPython for a place in the order, a key of 32 characters, an entry and a window's header."""

Vectors = NDArray[np.float32]
NOBODY = ""
"""Whose vector is not kept; and under whom the one of all users without a history is."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a vector is made from: whose it is, and the items that the encoder saw as bytes."""

    user: str
    items: bytes

    @classmethod
    def of(cls, user: str, history: Sequence[int]) -> Window:
        """``history``: catalogue indices, newest last, as many as the encoder takes in."""
        return cls(user if history else NOBODY, array("i", history).tobytes())

    @property
    def kept(self) -> bool:
        return bool(self.user) or not self.items


@dataclass(frozen=True, slots=True)
class _Entry:
    items: bytes
    slot: int
    usual: bool


@dataclass(frozen=True)
class Split:
    """Which of a batch's windows were found. ``vectors`` float32 [hits, d] are theirs, in the order of ``hits``."""

    hits: list[int]
    misses: list[int]
    vectors: Vectors


class EncodedUsers:
    """At most ``max_bytes`` of user vectors float32 [d]; the one that was used least lately goes first.

    ``one_file`` says that device and fallback run the same graph file, so that it does not matter which computed a
    vector. The thread of the model reads and writes it, the event loop drops from it.
    """

    def __init__(self, dimensions: int, max_length: int, max_bytes: int, *, one_file: bool = True) -> None:
        self._one_file = one_file
        self.entry_bytes = 4 * dimensions + 4 * max_length + _ENTRY_BYTES
        self.capacity = max_bytes // self.entry_bytes
        if self.capacity < 1:
            raise ValueError(f"a cache of {max_bytes} bytes holds no user vector: one takes {self.entry_bytes}")
        # Allocated whole, but the kernel gives a page only when its first vector is written.
        self._vectors: Vectors = np.empty((self.capacity, dimensions), dtype=np.float32)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._free: list[int] = []
        self._lock = threading.Lock()
        self.hits = self.misses = self.evicted = self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What the entries take, with all that they can take in: an upper bound."""
        return len(self._entries) * self.entry_bytes

    def split(self, windows: Sequence[Window], *, degraded: bool = False) -> Split:
        """Find what is known of these.

        Vectors that the fallback computed in another precision count only while ``degraded``: what the device answers
        must not depend on what happened before.
        """
        hits, misses, slots = [], [], []
        with self._lock:
            for position, window in enumerate(windows):
                entry = self._entries.get(window.user)
                if entry is None or entry.items != window.items or not (entry.usual or degraded) or not window.kept:
                    misses.append(position)
                    continue
                self._entries.move_to_end(window.user)
                hits.append(position)
                slots.append(entry.slot)
            self.hits += len(hits)
            self.misses += len(misses)
            return Split(hits, misses, self._vectors[slots])

    def find(self, window: Window) -> NDArray[np.float32] | None:
        """One user's vector [d], computed by the device; None where it is not known, which does not count as a miss."""
        with self._lock:
            entry = self._entries.get(window.user)
            if entry is None or entry.items != window.items or not entry.usual or not window.kept:
                return None
            self._entries.move_to_end(window.user)
            self.hits += 1
            vector: NDArray[np.float32] = self._vectors[entry.slot].copy()
            return vector

    def keep(self, windows: Sequence[Window], vectors: Vectors, *, usual: bool = True) -> None:
        """Keep ``vectors`` [len(windows), d]; ``usual`` says that the device computed them and not the fallback."""
        usual = usual or self._one_file
        with self._lock:
            for window, vector in zip(windows, vectors, strict=True):
                if not window.kept:
                    continue
                old = self._entries.pop(window.user, None)
                slot = old.slot if old else self._slot()
                self._vectors[slot] = vector
                self._entries[window.user] = _Entry(window.items, slot, usual)

    def drop(self, user: str) -> None:
        """Forget a user, whose history has just changed."""
        with self._lock:
            entry = self._entries.pop(user, None)
            if entry is not None:
                self._free.append(entry.slot)
                self.dropped += 1

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        if len(self._entries) < self.capacity:
            return len(self._entries)
        _, oldest = self._entries.popitem(last=False)
        self.evicted += 1
        return oldest.slot
