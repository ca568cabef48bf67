"""Fit a SASRec to interactions within a fixed time, keeping the parameters that validated best.

Two stages. `search` trains without each user's validation and test items, measures NDCG@10 on the
validation items after every epoch and returns the best parameters it saw. `refit` continues from those for
a few epochs at a falling learning rate with the validation items included, because the newest behaviour
says most. Neither sees a test item.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from recsvc import evaluate
from recsvc.data import Split
from recsvc.model import PADDING, SasRec, popularity_vector
from recsvc.recipe import Plan, Progress, Settings

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """The model in evaluation mode, and how it came about.

    ``previous`` is the model before `refit`: it has not learnt each user's newest known interaction.
    """

    model: SasRec
    previous: SasRec
    validation_ndcg_at_10: float
    epochs: int
    best_epoch: int
    seconds: float
    out_of_time: bool


def fit(split: Split, items: int, settings: Settings, *, progress: Progress, threads: int = 2) -> Fitted:
    """Train on a split of a catalogue of ``items`` and return the model for serving.

    Takes at most ``settings.plan.budget_s`` seconds and one step. The same seed, data and thread count give
    the same model wherever the time suffices for all the epochs.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    plan, started_s = settings.plan, time.monotonic()
    share = plan.epochs / max(1, plan.epochs + plan.refit_epochs)
    model = SasRec(items, settings.shape)
    best = search(model, split, plan, rng, deadline_s=started_s + plan.budget_s * share, progress=progress)
    model.load_state_dict(best.parameters)
    previous = copy.deepcopy(model)
    set_cold_user(previous, split.train)
    complete = (*split.before_test, *split.not_evaluated)
    in_time = refit(model, complete, plan, rng, deadline_s=started_s + plan.budget_s, progress=progress)
    set_cold_user(model, complete)
    model.eval()
    previous.eval()
    seconds = time.monotonic() - started_s
    return Fitted(model, previous, best.ndcg_at_10, best.epochs, best.epoch, seconds, best.out_of_time or not in_time)


@dataclass
class Best:
    """The parameters that validated best so far, and how far the search has come."""

    parameters: dict[str, Tensor]
    ndcg_at_10: float = -1.0
    epoch: int = 0
    epochs: int = 0
    out_of_time: bool = False

    def hopeless(self, plan: Plan) -> bool:
        return self.epochs - self.epoch >= plan.patience


def search(
    model: SasRec,
    split: Split,
    plan: Plan,
    rng: np.random.Generator,
    *,
    deadline_s: float,
    progress: Progress,
) -> Best:
    """Train until the epochs, the patience or the time (on ``time.monotonic``) runs out."""
    best = Best(copy.deepcopy(model.state_dict()))
    optimiser = _optimiser(model, plan)
    pace = Pace(plan.learning_rate, plan.warmup_steps, plan.epochs, deadline_s)
    while best.epochs < plan.epochs and not best.out_of_time and not best.hopeless(plan):
        batches = list(windows(split.train, model.max_length, plan.batch, rng))
        loss = _epoch(model, optimiser, batches, pace)
        best.epochs += 1
        best.out_of_time = pace.over() and best.epochs < plan.epochs
        figure = validate(model, split)
        if figure > best.ndcg_at_10:
            best.ndcg_at_10, best.epoch = figure, best.epochs
            best.parameters = copy.deepcopy(model.state_dict())
        progress("train", best.epochs, plan.epochs, f"loss {loss:.3f}, validation NDCG@10 {figure:.4f}")
    return best


def refit(
    model: SasRec,
    sequences: Sequence[Indices],
    plan: Plan,
    rng: np.random.Generator,
    *,
    deadline_s: float,
    progress: Progress,
) -> bool:
    """Go on with more data for ``plan.refit_epochs``; returns False when the time ran out before them."""
    optimiser = _optimiser(model, plan)
    pace = Pace(plan.refit_learning_rate, plan.warmup_steps, plan.refit_epochs, deadline_s)
    for epoch in range(1, plan.refit_epochs + 1):
        batches = list(windows(sequences, model.max_length, plan.batch, rng))
        loss = _epoch(model, optimiser, batches, pace)
        progress("refit", epoch, plan.refit_epochs, f"loss {loss:.3f}")
        if pace.over() and epoch < plan.refit_epochs:
            return False
    return True


def validate(model: SasRec, split: Split) -> float:
    """NDCG@10 of the validation items, full catalogue, seen items masked."""
    vectors = encode(model, split.before_validation)
    table = model.item_embedding.weight.detach().numpy()
    found = evaluate.ranks(vectors @ table.T, split.before_validation, split.validation)
    return evaluate.ndcg(found, 10)


def encode(model: SasRec, sequences: Sequence[Indices], batch: int = 256) -> NDArray[np.float32]:
    """User vectors, float32 ``[len(sequences), d]``, of the newest items of each sequence."""
    model.eval()
    padded = torch.from_numpy(pad(sequences, model.max_length))
    with torch.inference_mode():
        vectors: NDArray[np.float32] = torch.cat([model(part) for part in torch.split(padded, batch)]).numpy()
    return vectors


def set_cold_user(model: SasRec, sequences: Sequence[Indices]) -> None:
    """Give users without a history the vector that ranks nearly as popularity does."""
    counts = torch.from_numpy(evaluate.popularity(sequences, model.items)[1:])
    model.cold_user.copy_(popularity_vector(model.item_embedding.weight, counts))


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
    """Cut sequences into windows and yield shuffled (input, target) batches, int64 ``[batch, length]`` each.

    Windows are cut from a random place in every epoch, so that an item meets different contexts; between them
    they predict each item of a sequence but the first, most of them once.
    """
    cut = [window for sequence in sequences for window in _cut(sequence, length + 1, rng)]
    rows = torch.from_numpy(pad(cut, length + 1)[rng.permutation(len(cut))])
    for part in torch.split(rows, batch):
        yield part[:, :-1], part[:, 1:]


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


class Pace:
    """The learning rate: a linear warm-up, then half a cosine over the planned epochs or the time,
    whichever is faster.

    So a slow machine also ends on small steps, where the quality comes from, and not in the middle of large
    ones.
    """

    def __init__(self, peak: float, warmup_steps: int, epochs: int, deadline_s: float) -> None:
        self.peak, self.warmup_steps, self.epochs = peak, warmup_steps, epochs
        self.started_s, self.deadline_s = time.monotonic(), deadline_s
        self.steps = 0

    def next(self, steps_in_epoch: int) -> float:
        clock = (time.monotonic() - self.started_s) / max(1e-9, self.deadline_s - self.started_s)
        done = self.steps / max(1, self.epochs * steps_in_epoch)
        # Only a clock that is clearly ahead counts, so that fast machines do the same steps every time.
        done = min(1.0, clock if clock > done + 0.05 else done)
        self.steps += 1
        return self.peak * min(1.0, self.steps / self.warmup_steps) * 0.5 * (1.0 + math.cos(math.pi * done))

    def over(self) -> bool:
        return time.monotonic() >= self.deadline_s


def _epoch(
    model: SasRec, optimiser: torch.optim.Optimizer, batches: Sequence[tuple[Tensor, Tensor]], pace: Pace
) -> float:
    model.train()
    losses = []
    for history, target in batches:
        for group in optimiser.param_groups:
            group["lr"] = pace.next(len(batches))
        loss = _loss(model, history, target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        losses.append(loss.item())
        if pace.over():
            break
    return float(np.mean(losses))


def _loss(model: SasRec, history: Tensor, target: Tensor) -> Tensor:
    """Cross entropy over the full catalogue at every position that has both an input and a target."""
    known = (history != PADDING) & (target != PADDING)
    states = model.states(history)[known]
    scores = states @ model.item_embedding.weight[1:].T
    return functional.cross_entropy(scores, target[known] - 1)


def _optimiser(model: SasRec, plan: Plan) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.parameters(),
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        betas=(0.9, 0.98),
        fused=True,
    )
