"""What an epoch is judged by: which item each user took next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recsvc import evaluation
from recsvc.learner import Learner
from recsvc.model import SasRec
from recsvc.windows import pad

Indices = NDArray[np.int64]

MOST_VALIDATED = 5000
"""Users whose next item is looked for after an epoch; of more, so many are drawn."""
FEWEST_VALIDATED = 100
"""Nor does a large catalogue leave fewer: a figure over them would be chance."""
MOST_SCORES = 200_000_000
"""Fewer users are drawn where their scores would be more than these: 1.4 s of one core (7 ns each) after every epoch,
where 5,000 users over a million items would take half a minute of a time that is meant for learning."""
RANKED = 500
"""Users whose scores of the whole catalogue are in memory at a time, but for large catalogues: see `at_a_time`."""
_SCORES_IN_MEMORY = 32_000_000


@dataclass(frozen=True)
class Task:
    """Histories, oldest first, and the item that followed each: int64 [users]."""

    histories: tuple[Indices, ...]
    targets: Indices

    @classmethod
    def of(cls, histories: Sequence[Indices], targets: Indices, items: int) -> Task:
        """A task over a catalogue of so many items: of at most `most_users` users, always the same ones."""
        chosen, most = np.arange(len(targets)), most_users(items)
        if len(chosen) > most:
            chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:most])
        return cls(tuple(histories[place] for place in chosen.tolist()), targets[chosen])

    def ndcg_at_10(self, learner: Learner) -> float:
        """NDCG@10 over the full catalogue, seen items masked; 0.0 where there is nobody to ask about."""
        if len(self.targets) == 0:
            return 0.0
        model, _ = learner.fold()
        table = model.item_embedding.weight.detach().numpy()
        return self.ndcg_of(encode(model.to(learner.counts.device), self.histories), table)

    def ndcg_of(self, users: NDArray[np.float32], table: NDArray[np.float32]) -> float:
        """The same of user vectors [users, d] and an item table [items + 1, d]."""
        # In parts: the scores of all users at once would take gigabytes on a large catalogue.
        step = at_a_time(len(table) - 1)
        found = [
            evaluation.ranks(users[part] @ table.T, self.histories[part], self.targets[part])
            for part in (slice(start, start + step) for start in range(0, len(self.targets), step))
        ]
        return evaluation.ndcg(np.concatenate(found), 10)


def most_users(items: int, scores: int = MOST_SCORES) -> int:
    """How many users may be asked about a catalogue of so many items for all their scores to be at most ``scores``."""
    return min(MOST_VALIDATED, max(FEWEST_VALIDATED, scores // (items + 1)))


def at_a_time(items: int) -> int:
    """Users whose scores of such a catalogue may lie in memory together, as float32 in 128 MB."""
    return max(1, min(RANKED, _SCORES_IN_MEMORY // (items + 1)))


def encode(model: SasRec, sequences: Sequence[Indices], batch: int = 256) -> NDArray[np.float32]:
    """User vectors, float32 ``[len(sequences), d]``, of the newest items of each sequence."""
    model.eval()
    padded = torch.from_numpy(pad(sequences, model.max_length))
    device = model.cold_user.device
    with torch.inference_mode():
        vectors = torch.cat([model(part.to(device)).cpu() for part in torch.split(padded, batch)])
    return vectors.numpy()
