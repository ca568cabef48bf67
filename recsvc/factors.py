"""The collaborative half of a score: items that the same people took, weighed by how lately this user took one.

With X the users-by-items matrix of what was taken, cut to its largest singular values, an item's factors a(i) give

    score(user, i) = w * sum over the user's items j of decay^age(j) * a(j) . a(i)

``cosine``: X's columns are scaled by 1 / sqrt(count + 10), its rows by 1 / sqrt(length), and a(i) = V S: EigenRec
(arXiv 1511.06033). It suits shops, where most pairs are met once. ``ridge``: X as it is, and
a(i) = V sqrt(S^2 / (S^2 + 100)) / sqrt(1 - p(i)) with p(i) what the factors already say of i itself: the solution of
EASE (arXiv 1905.03375) in the space of the largest singular values, its diagonal divided evenly between both sides
so that one table serves both. It suits dense data.

A network learns order and finds its own way; counts need no learning, and are better where there is little to learn
from. Which of the two, how much of it and how fast it fades is chosen on the validation items (`recsvc.fusion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

Kind = Literal["cosine", "ridge"]
KINDS: tuple[Kind, ...] = ("cosine", "ridge")

SHRINK = 10.0
RIDGE = 100.0
NEIGHBOURS = 5
MOST_COMPARED = 10_000
"""Items that others are held against: those taken most often."""
_CHUNK = 4096
_OVERSAMPLED = 32
_PASSES = 3


def factorise(sequences: Sequence[NDArray[np.int64]], items: int, rank: int, kind: Kind) -> NDArray[np.float32]:
    """An item's factors: float32 [items + 1, rank], zeros for padding and for items in no sequence.

    The same sequences give the same factors. Where the matrix has fewer singular values, the rest are zeros.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    taken = np.concatenate([np.zeros(0, dtype=np.int64), *sequences])
    counts = np.bincount(taken, minlength=items + 1)
    # A user with a long history says less about each pair.
    values = np.repeat(np.sqrt(max(1.0, float(lengths.mean())) / np.maximum(1, lengths)), lengths)
    values = values / np.sqrt(counts[taken] + SHRINK) if kind == "cosine" else np.ones(len(taken))
    places = np.stack([np.repeat(np.arange(len(sequences)), lengths), taken])
    strengths, directions = _singular(places, values, (len(sequences), items + 1), rank)
    found = directions * (strengths if kind == "cosine" else strengths / np.sqrt(strengths**2 + RIDGE))
    if kind == "ridge":
        found /= np.sqrt(np.clip(1.0 - np.square(found).sum(axis=1, keepdims=True), 1e-3, None))
    factors = np.zeros((items + 1, rank), dtype=np.float32)
    factors[:, : found.shape[1]] = found
    factors[counts == 0] = 0.0
    return factors


def described(
    factors: NDArray[np.float32], content: NDArray[np.float32], counts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What the descriptions say of the factors, float32 [items + 1, f]: the mean over the likest items that were taken.

    ``content`` float32 [items + 1, d]: the tower's vectors, compared by cosine; an item is no neighbour of its own. The
    mean over `NEIGHBOURS` is weighed by the square root of ``counts``. Without this an item nobody has taken would have
    no factors, so a score below nearly all others': on ML-100k 1 of 1,000 held-out items was among the first ten when
    only its description was known, 6 are by chance.
    """
    found = np.zeros_like(factors)
    taken = np.argsort(-counts, kind="stable")[: min(MOST_COMPARED, int((counts > 0).sum()))]
    if len(taken) <= NEIGHBOURS or not content.any():
        return found
    directions = content / np.maximum(np.linalg.norm(content, axis=1, keepdims=True), 1e-9)
    place = np.full(len(factors), -1)
    place[taken] = np.arange(len(taken))
    for start in range(0, len(factors), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(factors)))
        likeness = directions[rows] @ directions[taken].T
        own = np.flatnonzero(place[rows] >= 0)
        likeness[own, place[rows[own]]] = -np.inf
        nearest = taken[np.argpartition(-likeness, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
        weights = np.sqrt(counts[nearest])
        found[rows] = np.einsum("in,inf->if", weights / weights.sum(axis=1, keepdims=True), factors[nearest])
    found[~content.any(axis=1)] = 0.0  # padding, and what has no description
    return found


def _singular(
    places: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, int], rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest singular values [r] and their right vectors [items + 1, r], r at most ``rank``."""
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(places), torch.from_numpy(values.astype(np.float32)), shape, check_invariants=True
    ).coalesce()
    wanted = min(rank + _OVERSAMPLED, *shape)
    with torch.random.fork_rng(devices=[]):
        # Halko, Martinsson and Tropp (arXiv 0909.4061) start from random directions: always the same ones here.
        torch.manual_seed(0)
        _, strengths, directions = torch.svd_lowrank(matrix, q=wanted, niter=_PASSES)
    return strengths[:rank].double().numpy(), directions[:, :rank].double().numpy()
