"""Cross entropy over the next item: against the whole catalogue, or against a sample of a large one.

At a position with state ``u`` whose next item is ``y``, with ``s_j = u . v_j`` and S the items already seen:

    full     L = -s_y + log sum of exp(s_j) over j not in S
    sampled  L = -s_y + log(exp(s_y) + sum of exp(s_j - log(m q_j)) over j in the sample, j not in S, j != y)

Full cross entropy is what lifted SASRec to BERT4Rec's level and above (Klenitskiy and Vasilev, arXiv 2309.07602;
"eSASRec", arXiv 2508.06450, finds the sampled one next to it). Items already seen are masked when the model
serves, so they are no competitors here either. The sample of m items is shared by a batch and drawn without
replacement by ``q``; ``log(m q_j)``, the logarithm of the chance that an item is in it, corrects for how often an item
is drawn (Bengio and Senecal, 2008; Yi et al., RecSys 2019), and not for y, which is always there (arXiv 2507.09331).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

PADDING = 0
NEVER = -1e9
"""Stands for -inf, which would turn a gradient into NaN where all of a row is masked."""

Rows = Callable[[Tensor], Tensor]
"""Vectors of catalogue indices: int64 [n] -> float32 [n, d]."""


def full(states: Tensor, history: Tensor, target: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
    """Mean loss over the positions that have both an input and a target.

    ``states`` [batch, length, d], ``history`` and ``target`` int64 [batch, length], ``table`` [items + 1, d];
    ``candidates`` bool [items + 1]: the items that compete, padding not among them.
    """
    known = (history != PADDING) & (target != PADDING)
    scores = states[known] @ table.T
    scores = scores.scatter(1, _seen(history)[known], NEVER).masked_fill(~candidates, NEVER)
    return functional.cross_entropy(scores, target[known])


def sampled(states: Tensor, history: Tensor, target: Tensor, rows: Rows, sample: Sample) -> Tensor:
    """Mean loss over the same positions, against the items of a `Sample`."""
    known = (history != PADDING) & (target != PADDING)
    positions, wanted = states[known], target[known]
    own = (positions * rows(wanted)).sum(dim=1, keepdim=True)
    # Column 0 stands for every item that is not in the sample, so that one scatter masks what was seen.
    others = functional.pad(positions @ rows(sample.items).T - sample.correction, (1, 0), value=NEVER)
    masked = sample.column[torch.cat([_seen(history)[known], wanted[:, None]], dim=1)]
    scores = torch.cat([own, others.scatter(1, masked, NEVER)], dim=1)
    return functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64, device=scores.device))


def _seen(history: Tensor) -> Tensor:
    """The items up to each position: int64 [batch, length, length], 0 for those that come later."""
    return history[:, None, :].expand(-1, history.shape[1], -1).tril()


class Sample:
    """Items drawn for one batch: ``items`` int64 [m], their ``correction`` log(m q) [m], and ``column``
    int64 [items + 1], an item's place in the sample plus 1, or 0."""

    def __init__(self, items: Tensor, correction: Tensor, column: Tensor) -> None:
        self.items, self.correction, self.column = items, correction, column


class Sampler:
    """Draws items, half of them by how frequent they are and half evenly, so that rare ones are met too."""

    def __init__(self, counts: Tensor, candidates: Tensor, size: int) -> None:
        """``counts`` float32 and ``candidates`` bool, both [items + 1]."""
        frequent = counts.clamp(min=0).pow(0.75) * candidates
        even = candidates.float()
        self.shares = 0.5 * frequent / frequent.sum().clamp(min=1e-9) + 0.5 * even / even.sum()
        self.size = min(size, int(candidates.sum()))

    def draw(self) -> Sample:
        """A new sample, by torch's own random numbers."""
        # Exponential races give a weighted sample without replacement; torch.multinomial stops at 2^24 items.
        races = torch.empty_like(self.shares).exponential_() / self.shares
        items = races.topk(self.size, largest=False).indices
        # An item is in the sample with probability 1 - exp(-t q), t being where the race was cut off.
        cut = races[items].max()
        correction = torch.log(-torch.expm1(-cut * self.shares[items]))
        column = torch.zeros(len(self.shares), dtype=torch.int64, device=items.device)
        column[items] = torch.arange(1, self.size + 1, device=items.device)
        return Sample(items, correction, column)
