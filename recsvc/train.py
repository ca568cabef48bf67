"""Fit a model to interactions within a fixed time, keeping the parameters that validated best.

Two stages. `search` trains without each user's validation and test items, measures NDCG@10 on the
validation items after every epoch and returns the best parameters it saw. `refit` continues from those for
a few epochs at a falling learning rate with the validation items included, because the newest behaviour
says most. Neither sees a test item.
"""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsvc import evaluate
from recsvc.data import Dataset, Split
from recsvc.learner import Learner
from recsvc.model import SasRec, popularity_vector
from recsvc.pace import Pace
from recsvc.recipe import Plan, Progress, Settings
from recsvc.windows import Timed, pad, windows

Indices = NDArray[np.int64]
Device = Literal["auto", "cuda", "cpu"]

MOST_VALIDATED = 5000
"""Users whose validation item is looked for after an epoch; of more, so many are drawn."""
RANKED = 500
"""Users whose scores of the whole catalogue are in memory at a time."""


class TrainError(Exception):
    """Training cannot start; ``str()`` says why and what to do."""


@dataclass(frozen=True)
class Release:
    """A model that serves, in evaluation mode on the CPU; ``content`` is the part of its item table that comes
    from descriptions, float32 [items + 1, d], zeros where nothing is told."""

    model: SasRec
    content: NDArray[np.float32]

    @property
    def table(self) -> NDArray[np.float32]:
        """float32 [items + 1, d]: a user's score for an item is the dot product with its row."""
        return self.model.item_embedding.weight.detach().numpy()


@dataclass(frozen=True)
class Fitted:
    """The release that was made, and how it came about.

    ``previous`` is the one before `refit`: it has not learnt each user's newest known interaction. ``learner``
    holds the parameters that a later training goes on from.
    """

    release: Release
    previous: Release
    learner: Learner
    validation_ndcg_at_10: float
    epochs: int
    best_epoch: int
    seconds: float
    out_of_time: bool
    device: str


def fit(dataset: Dataset, split: Split, settings: Settings, *, progress: Progress, device: Device = "auto") -> Fitted:
    """Train on a split of a data set and return the model for serving.

    Takes at most ``settings.plan.budget_s`` seconds and one step. The same seed, data and thread count give
    the same model on a CPU wherever the time suffices for all the epochs. Raises `TrainError` where the device
    that was asked for is not there.
    """
    chosen = prepare_device(settings, device)
    rng = np.random.default_rng(settings.seed)
    plan, started_s = settings.plan, time.monotonic()
    share = plan.epochs / max(1, plan.epochs + plan.refit_epochs)
    learner = Learner(dataset.items, settings.shape, plan).to(chosen)
    known = Timed.cut(split.train, dataset.times_s)
    learner.meet(known.sequences)
    best = search(learner, known, split, plan, rng, deadline_s=started_s + plan.budget_s * share, progress=progress)
    learner.load_state_dict(best.parameters)
    previous = release(learner, known.sequences)
    complete = all_but_test(dataset, split)
    learner.meet(complete.sequences)
    in_time = refit(learner, complete, plan, rng, deadline_s=started_s + plan.budget_s, progress=progress)
    made = release(learner, complete.sequences)
    seconds = time.monotonic() - started_s
    cut_short = best.out_of_time or not in_time
    return Fitted(
        made, previous, learner, best.ndcg_at_10, best.epochs, best.epoch, seconds, cut_short, device_name(chosen)
    )


def prepare_device(settings: Settings, device: Device) -> torch.device:
    """Seed torch, set its threads and return where to train: the GPU if there is one, unless told otherwise."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(settings.plan.threads or cores)
    torch.manual_seed(settings.seed)
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainError("--device cuda: torch finds no usable GPU here; use --device cpu or auto, or mend the driver")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """``cpu``, or the GPU's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def all_but_test(dataset: Dataset, split: Split) -> Timed:
    """Every user's interactions except the test items, in the order of the data set."""
    sequences = list(dataset.sequences)
    for position, known in zip(split.evaluated.tolist(), split.before_test, strict=True):
        sequences[position] = known
    return Timed.cut(sequences, dataset.times_s)


def release(learner: Learner, sequences: Sequence[Indices]) -> Release:
    """Fold what was learnt into a model that serves, and give users without a history popularity's ranking."""
    model, content = learner.fold()
    counts = torch.from_numpy(evaluate.popularity(sequences, model.items)[1:])
    model.cold_user.copy_(popularity_vector(model.item_embedding.weight, counts))
    return Release(model, content)


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
    learner: Learner,
    known: Timed,
    split: Split,
    plan: Plan,
    rng: np.random.Generator,
    *,
    deadline_s: float,
    progress: Progress,
) -> Best:
    """Train until the epochs, the patience or the time (on ``time.monotonic``) runs out."""
    best = Best(copy.deepcopy(learner.state_dict()))
    stepper = Stepper(learner, plan, Pace(plan.learning_rate, plan.warmup_steps, plan.epochs, deadline_s))
    while best.epochs < plan.epochs and not best.out_of_time and not best.hopeless(plan):
        batches = list(windows(list(known.shuffled(rng)), learner.encoder.max_length, plan.batch, rng))
        loss = stepper.epoch(batches)
        best.epochs += 1
        best.out_of_time = stepper.pace.over() and best.epochs < plan.epochs
        figure = validate(learner, split)
        if figure > best.ndcg_at_10:
            best.ndcg_at_10, best.epoch = figure, best.epochs
            best.parameters = copy.deepcopy(learner.state_dict())
        left_s = stepper.pace.left_s(len(batches))
        told = f"loss {loss:.3f}, validation NDCG@10 {figure:.4f}, {left_s:.0f} s left"
        progress("train", best.epochs, plan.epochs, told)
    return best


def refit(
    learner: Learner,
    complete: Timed,
    plan: Plan,
    rng: np.random.Generator,
    *,
    deadline_s: float,
    progress: Progress,
) -> bool:
    """Go on with more data for ``plan.refit_epochs``; returns False when the time ran out before them."""
    pace = Pace(plan.refit_learning_rate, plan.warmup_steps, plan.refit_epochs, deadline_s)
    stepper = Stepper(learner, plan, pace)
    for epoch in range(1, plan.refit_epochs + 1):
        batches = list(windows(list(complete.shuffled(rng)), learner.encoder.max_length, plan.batch, rng))
        loss = stepper.epoch(batches)
        progress("refit", epoch, plan.refit_epochs, f"loss {loss:.3f}, {pace.left_s(len(batches)):.0f} s left")
        if pace.over() and epoch < plan.refit_epochs:
            return False
    return True


class Stepper:
    """Takes the steps of one stage."""

    def __init__(self, learner: Learner, plan: Plan, pace: Pace) -> None:
        self.learner, self.plan, self.pace = learner, plan, pace
        self.parameters = list(learner.parameters())
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=(0.9, 0.98), fused=True
        )

    def epoch(self, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
        """Learn from the batches until the time is over; returns the mean loss."""
        self.learner.train()
        losses = []
        for history, target in batches:
            losses.append(self._step(history, target, self.pace.next(len(batches))))
            if self.pace.over():
                break
        return float(torch.stack(losses).mean()) if losses else float("nan")

    def _step(self, history: Tensor, target: Tensor, rate: float) -> Tensor:
        device = self.learner.counts.device
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        mixed = self.plan.mixed_precision and device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16) if mixed else contextlib.nullcontext():
            loss = self.learner.loss(history.to(device), target.to(device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 5.0)
        self.optimiser.step()
        return loss.detach()


def validate(learner: Learner, split: Split) -> float:
    """NDCG@10 of the validation items, full catalogue, seen items masked."""
    chosen = np.arange(len(split.validation))
    if len(chosen) > MOST_VALIDATED:
        chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:MOST_VALIDATED])
    return ndcg_at_10(learner, [split.before_validation[place] for place in chosen], split.validation[chosen])


def ndcg_at_10(learner: Learner, histories: Sequence[Indices], targets: Indices) -> float:
    """NDCG@10 of the item that followed each history."""
    model, _ = learner.fold()
    table = model.item_embedding.weight.detach().numpy()
    vectors = encode(model.to(learner.counts.device), histories)
    # In parts: the scores of all users at once would take gigabytes on a large catalogue.
    found = [
        evaluate.ranks(vectors[part] @ table.T, histories[part], targets[part])
        for part in (slice(start, start + RANKED) for start in range(0, len(histories), RANKED))
    ]
    return evaluate.ndcg(np.concatenate(found), 10)


def encode(model: SasRec, sequences: Sequence[Indices], batch: int = 256) -> NDArray[np.float32]:
    """User vectors, float32 ``[len(sequences), d]``, of the newest items of each sequence."""
    model.eval()
    padded = torch.from_numpy(pad(sequences, model.max_length))
    device = model.cold_user.device
    with torch.inference_mode():
        vectors = torch.cat([model(part.to(device)).cpu() for part in torch.split(padded, batch)])
    return vectors.numpy()
