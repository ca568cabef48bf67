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

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PADDING = 0
NEVER = -1e9
"""Stands for -inf, which would turn a gradient into NaN where all of a row is masked."""
CELLS = 1 << 20
"""Scores that are held at a time on a CPU: 4 MiB, about what a core's own cache holds."""


def full(states: Tensor, history: Tensor, target: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
    """Mean loss over the positions that have both an input and a target.

    ``states`` [batch, length, d], ``history`` and ``target`` int64 [batch, length], ``table`` [items + 1, d];
    ``candidates`` bool [items + 1]: the items that compete, padding not among them.
    """
    known = (history != PADDING) & (target != PADDING)
    positions, wanted = states[known], target[known]
    masked = torch.cat([_seen(history)[known], wanted[:, None]], dim=1)
    barred = torch.nonzero(~candidates).squeeze(1)
    return _mean(positions, functional.embedding(wanted, table), table, table.new_zeros(len(table)), masked, barred)


def sampled(
    states: Tensor, history: Tensor, target: Tensor, *, wanted: Tensor, table: Tensor, sample: Sample
) -> Tensor:
    """Mean loss over the same positions, against the items of a `Sample`.

    ``wanted`` [batch, length, d] are the targets' vectors, ``table`` [1 + m, d] those of `Sample.with_padding`.
    """
    known = (history != PADDING) & (target != PADDING)
    # Column 0, padding's, stands for every item that is not in the sample, so that one scatter masks what was seen.
    masked = sample.column[torch.cat([_seen(history)[known], target[known][:, None]], dim=1)]
    barred = torch.zeros(1, dtype=torch.int64, device=table.device)
    return _mean(states[known], wanted[known], table, functional.pad(sample.correction, (1, 0)), masked, barred)


def _mean(  # noqa: PLR0917 - the order of _CrossEntropy.forward
    positions: Tensor, wanted: Tensor, table: Tensor, correction: Tensor, masked: Tensor, barred: Tensor
) -> Tensor:
    own = (positions * wanted).sum(dim=1, keepdim=True)
    summed: Tensor = _CrossEntropy.apply(own, positions, table, correction, masked, barred)  # type: ignore[no-untyped-call]
    return summed / max(1, len(own))


class _CrossEntropy(torch.autograd.Function):
    """Summed cross entropy of a right score against rivals, whose scores only exist a few rows at a time.

    The gradients are taken on the way (Hsu et al., "Liger Kernel", arXiv 2410.10989, does so on a GPU): scores of
    a batch against a whole catalogue are the largest tensors of the training by far, and here they are written
    once, into a buffer that stays in the cache.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes all of them by position
        context: Any, own: Tensor, states: Tensor, table: Tensor, correction: Tensor, masked: Tensor, barred: Tensor
    ) -> Tensor:
        """``own`` [n, 1]; the rivals' scores are ``states`` [n, d] times ``table`` [c, d], less ``correction`` [c].

        ``masked`` int64 [n, any], of each row, and ``barred`` int64 [any], of all rows, are columns of no rivals.
        """
        weights, total = table.to(states.dtype), torch.zeros((), device=states.device)
        of_own, of_states, of_table = torch.empty_like(own), torch.empty_like(states), torch.zeros_like(table)
        rows = max(64, CELLS // len(table)) if not states.is_cuda else max(1, len(states))
        for part in (slice(start, start + rows) for start in range(0, len(states), rows)):
            scores, right = (states[part] @ weights.T).float().sub_(correction), own[part].float()
            scores.scatter_(1, masked[part], NEVER).index_fill_(1, barred, NEVER)
            top = torch.maximum(scores.amax(dim=1, keepdim=True), right)
            # Beyond -80 nothing is left of a share, but exp() takes six times as long where it underflows.
            shares, mine = scores.sub_(top).clamp_(min=-80.0).exp_(), (right - top).exp()
            sums = shares.sum(dim=1, keepdim=True) + mine
            total += (sums.log() + top - right).sum()
            of_own[part] = (mine / sums - 1.0).to(own.dtype)
            shares = shares.div_(sums).to(states.dtype)
            of_states[part] = shares @ weights
            of_table += (shares.T @ states[part]).to(table.dtype)
        context.save_for_backward(of_own, of_states, of_table)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        of_own, of_states, of_table = context.saved_tensors
        return of_own * gradient, of_states * gradient, of_table * gradient, None, None, None


def _seen(history: Tensor) -> Tensor:
    """The items up to each position: int64 [batch, length, length], 0 for those that come later."""
    return history[:, None, :].expand(-1, history.shape[1], -1).tril()


class Sample:
    """Items drawn for one batch: ``items`` int64 [m], their ``correction`` log(m q) [m], and ``column``
    int64 [items + 1], an item's place in the sample plus 1, or 0."""

    def __init__(self, items: Tensor, correction: Tensor, column: Tensor) -> None:
        self.items, self.correction, self.column = items, correction, column

    def with_padding(self) -> Tensor:
        """The items behind the padding item: int64 [1 + m]."""
        return functional.pad(self.items, (1, 0))


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
        first = races.topk(min(self.size + 1, len(races)), largest=False)
        items = first.indices[: self.size]
        # Given when the first loser came in at t, an item was drawn with probability 1 - exp(-t q); where nobody
        # lost, t is infinite and so is the certainty.
        correction = torch.log(-torch.expm1(-first.values[-1] * self.shares[items]))
        column = torch.zeros(len(self.shares), dtype=torch.int64, device=items.device)
        column[items] = torch.arange(1, self.size + 1, device=items.device)
        return Sample(items, correction, column)
