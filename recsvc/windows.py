"""From sequences to batches: windows cut at random places, ties in time shuffled, alike lengths together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Indices = NDArray[np.int64]

POOL = 64
"""Batches whose windows are sorted by length together: enough that little is padded, few enough to stay random."""


@dataclass(frozen=True)
class Timed:
    """Sequences of catalogue indices, oldest first, and when each happened (int64 seconds, rising)."""

    sequences: tuple[Indices, ...]
    times_s: tuple[Indices, ...]

    @classmethod
    def cut(cls, sequences: Sequence[Indices], times_s: Sequence[Indices]) -> Timed:
        """Keep of each user's times those of the items that ``sequences`` kept, which are the oldest."""
        kept = tuple(times[: len(sequence)] for sequence, times in zip(sequences, times_s, strict=True))
        return cls(tuple(sequences), kept)

    def shuffled(self, rng: np.random.Generator) -> Iterator[Indices]:
        """Each sequence with the items that share a second in a random order.

        The order of ties is an accident of the file, so a model must not learn it. Where all of a user's items
        share one time, the time says nothing and the order of the file may be all there is: it stays.
        """
        for sequence, times in zip(self.sequences, self.times_s, strict=True):
            if len(times) < 2 or times[0] == times[-1] or not (times[1:] == times[:-1]).any():
                yield sequence
            else:
                yield sequence[np.lexsort((rng.random(len(times)), times))]


def pad(sequences: Sequence[Indices], length: int) -> Indices:
    """Keep the newest ``length`` items of each and left-pad with 0: int64 ``[len(sequences), length]``."""
    padded = np.zeros((len(sequences), length), dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        newest = sequence[-length:]
        row[length - len(newest) :] = newest
    return padded


def windows(
    sequences: Sequence[Indices], length: int, batch: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut sequences into windows and yield shuffled (input, target) batches, int64 ``[rows, longest]`` each.

    Windows are cut from a random place in every epoch, so that an item meets different contexts; between them
    they predict each item of a sequence but the first, most of them once. Windows of like length share a batch,
    which holds as many of them as take no more than ``batch`` full windows' cells.

    A negative index is an item that is known already: it is input and no target. Windows without a target are
    left out.
    """
    cut = [window for sequence in sequences for window in _cut(sequence, length + 1, rng) if (window[1:] > 0).any()]
    mixed = rng.permutation(len(cut))
    batches = [group for pool in _pools(mixed, POOL * batch) for group in _alike(cut, pool, batch * length)]
    for place in rng.permutation(len(batches)):
        group = [cut[index] for index in batches[place]]
        rows = torch.from_numpy(pad(group, max(map(len, group))))
        yield rows[:, :-1].abs(), rows[:, 1:].clamp(min=0)


def _pools(order: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _alike(cut: Sequence[Indices], pool: Indices, cells: int) -> Iterator[list[int]]:
    """Groups of windows of a pool, longest first, that each fit into ``cells`` once padded."""
    group: list[int] = []
    for index in sorted(pool.tolist(), key=lambda index: -len(cut[index])):
        if group and (len(group) + 1) * (len(cut[group[0]]) - 1) > cells:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _cut(sequence: Indices, size: int, rng: np.random.Generator) -> Iterator[Indices]:
    if len(sequence) <= size:
        if len(sequence) > 1:
            yield sequence
        return
    end = len(sequence) - int(rng.integers(0, size - 1))
    if end < len(sequence):
        yield sequence[-size:]
    while end > 1:
        yield sequence[max(0, end - size) : end]
        end -= size - 1
