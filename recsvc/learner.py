"""What is trained: the encoder, and an item table put together from ids and descriptions.

Serving knows one table. While learning it is a sum, ``id(i) + c(i)`` (`recsvc.content`); `fold` adds it up into
a `SasRec` that serves. An item that nothing was learnt of, because nobody has touched it, then has the vector
of its description alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recsvc import losses
from recsvc.bundle import Item
from recsvc.content import Vocabulary, tower_of
from recsvc.model import PADDING, SasRec
from recsvc.recipe import Plan, Shape


class Learner(nn.Module):
    """The encoder and the content tower, with how often each item was met (float32 [items + 1])."""

    counts: Tensor

    def __init__(self, items: Sequence[Item], shape: Shape, plan: Plan, vocabulary: Vocabulary | None = None) -> None:
        """A fresh one; ``vocabulary`` is that of an earlier one whose parameters are to be loaded."""
        super().__init__()
        self.encoder = SasRec(len(items), shape)
        self.tower = tower_of(items, shape.dimensions, vocabulary) if shape.content else None
        self.plan = plan
        self.register_buffer("counts", torch.zeros(len(items) + 1))

    @property
    def items(self) -> int:
        return self.encoder.items

    def meet(self, sequences: Sequence[NDArray[np.int64]]) -> None:
        """Say what there is to learn from: which items were touched, and how often.

        What was met more often before keeps that count: a later training may see the newest events only.
        """
        counts = np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *sequences]), minlength=self.items + 1)
        counts[PADDING] = 0
        self.counts.copy_(torch.maximum(self.counts.cpu(), torch.from_numpy(counts).float()))

    def candidates(self) -> Tensor:
        """The items that compete for the next place: bool [items + 1].

        One nobody has touched would only ever lose, which would teach that its description is bad. Where there
        are no descriptions it does compete: nothing else tells what it is worth.
        """
        allowed = self.counts > 0 if self.tower is not None else torch.ones_like(self.counts, dtype=torch.bool)
        allowed[PADDING] = False
        return allowed

    def loss(self, history: Tensor, target: Tensor) -> Tensor:
        """Mean cross entropy of a batch, int64 [batch, length] each (`recsvc.losses`)."""
        kept = self._kept_ids()
        if self.items <= self.plan.full_softmax_items:
            table = self.rows(torch.arange(self.items + 1, device=history.device), kept)
            states = self.encoder.encode(functional.embedding(history, table), history)
            return losses.full(states, history, target, table, self.candidates())
        sample = losses.Sampler(self.counts, self.candidates(), self.plan.sampled_items).draw()
        # One look-up, because each would have a gradient of its own as large as the whole table.
        places = torch.cat([history.reshape(-1), target.reshape(-1), sample.with_padding()])
        sizes = [history.numel(), target.numel(), len(sample.items) + 1]
        inputs, targets, table = torch.split(self.rows(places, kept), sizes)
        states = self.encoder.encode(inputs.view(*history.shape, -1), history)
        wanted = targets.view(*target.shape, -1)
        return losses.sampled(states, history, target, wanted=wanted, table=table, sample=sample)

    def rows(self, indices: Tensor, kept: Tensor | None = None) -> Tensor:
        """Vectors of catalogue indices: int64 [n] -> float32 [n, d]."""
        vectors = self.encoder.item_embedding(indices)
        if self.tower is None:
            return vectors  # type: ignore[no-any-return]
        if kept is not None:
            vectors = vectors * kept[indices][:, None]
        summed: Tensor = vectors + self.tower(indices)
        return summed

    def _kept_ids(self) -> Tensor | None:
        if not self.training or self.tower is None or self.plan.id_dropout == 0:
            return None
        return (torch.rand_like(self.counts) >= self.plan.id_dropout).float()

    @torch.no_grad()
    def fold(self) -> tuple[SasRec, NDArray[np.float32]]:
        """The model that serves, on the CPU in evaluation mode, and what of its table is content [items + 1, d]."""
        served = copy.deepcopy(self.encoder).cpu().eval()
        content = np.zeros(served.item_embedding.weight.shape, dtype=np.float32)
        if self.tower is not None:
            touched = self.counts.cpu() > 0
            told = torch.cat([self.tower(part).cpu() for part in torch.split(self._catalogue(), 8192)])
            served.item_embedding.weight.mul_(touched[:, None]).add_(told)
            content = told.numpy()
        served.item_embedding.weight[PADDING] = 0.0
        return served, content

    def _catalogue(self) -> Tensor:
        return torch.arange(self.items + 1, device=self.counts.device)
