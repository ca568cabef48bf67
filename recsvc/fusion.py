"""How much the counts say beside the network (`recsvc.factors`): chosen by NDCG@10 on the validation items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recsvc.factors import KINDS, Kind, described, factorise
from recsvc.model import SasRec
from recsvc.validation import Task, at_a_time, encode, most_users

Floats = NDArray[np.float32]

WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.5)
"""Standard deviations of the collaborative scores, in units of the network's, which are logits."""
DECAYS = (0.9, 0.8)
MOST_SCORES = 100_000_000
"""Users are left out of the choice where their scores would be more than these: it has to take seconds, and takes them
once for each of the twenty choices."""


@dataclass(frozen=True)
class Fusion:
    """What is added to the network's scores; see `recsvc.factors` for the formula."""

    kind: Kind
    weight: float
    decay: float
    rank: int

    def into(self, model: SasRec, sequences: Sequence[NDArray[np.int64]], content: Floats) -> NDArray[np.float32]:
        """Widen a model that serves by the factors of these sequences; returns what of its table is content.

        ``content`` [items + 1, d] is the tower's part of the model's table. Items in no sequence get their neighbours'
        factors.
        """
        factors = factorise(sequences, model.items, self.rank, self.kind)
        counts = np.bincount(np.concatenate(sequences), minlength=model.items + 1)
        told = described(factors, content, counts)
        factors[counts == 0] = told[counts == 0]
        spread = model.widen(torch.from_numpy(factors), self.weight, self.decay)
        return np.concatenate([content, told * np.float32(spread)], axis=1)


def choose(model: SasRec, sequences: Sequence[NDArray[np.int64]], task: Task, rank: int) -> Fusion | None:
    """The fusion that validates best, or None where none beats the network alone.

    ``model`` serves and was trained on ``sequences``, which hold none of the task's targets.
    """
    users = min(len(task.targets), most_users(model.items, MOST_SCORES))
    if rank == 0 or users == 0:
        return None
    part = Task(task.histories[:users], task.targets[:users])
    own = encode(model, part.histories)
    table = model.item_embedding.weight.detach().numpy()
    best, found = part.ndcg_of(own, table), None
    for kind in KINDS:
        factors = factorise(sequences, model.items, rank, kind)
        for weight, decay, figure in _tried(own, table, factors, part, model.max_length):
            if figure > best:
                best, found = figure, Fusion(kind, weight, decay, rank)
    return found


def _tried(
    own: Floats, table: Floats, factors: Floats, task: Task, length: int
) -> Iterator[tuple[float, float, float]]:
    """Each weight and decay with its NDCG@10."""
    for decay in DECAYS:
        pooled = np.stack([_pooled(factors, history[-length:], decay) for history in task.histories])
        spread = float((pooled[: at_a_time(len(factors) - 1)] @ factors.T).std()) or 1.0
        for share in WEIGHTS:
            users = np.concatenate([own, pooled * np.float32(share / spread)], axis=1)
            yield share / spread, decay, task.ndcg_of(users, np.concatenate([table, factors], axis=1))


def _pooled(factors: Floats, history: NDArray[np.int64], decay: float) -> Floats:
    ages = np.arange(len(history) - 1, -1, -1)
    summed: Floats = (decay**ages).astype(np.float32) @ factors[history]
    return summed
