"""Fit a model to interactions within a fixed time, keeping the parameters that validated best.

Two stages (`recsvc.stages`). `search` trains without each user's validation and test items, measures NDCG@10 on the
validation items after every epoch and returns the best parameters it saw. `refit` continues from those for
a few epochs at a falling learning rate with the validation items included, because the newest behaviour
says most. Neither sees a test item.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from recsvc import evaluation
from recsvc.data import DataError, Dataset, Split
from recsvc.fusion import Fusion, choose
from recsvc.learner import Learner
from recsvc.model import SasRec, popularity_vector
from recsvc.recipe import Progress, Settings
from recsvc.stages import Best, Material, refit, search
from recsvc.validation import Task
from recsvc.windows import Timed

Indices = NDArray[np.int64]
Device = Literal["auto", "cuda", "cpu"]


class TrainError(DataError):
    """Training cannot start; ``str()`` says why and what to do. The commands tell it as they do wrong data."""


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
    fusion: Fusion | None
    validation_ndcg_at_10: float
    epochs: int
    best_epoch: int
    seconds: float
    out_of_time: bool
    device: str

    @classmethod
    def of(
        cls,
        releases: tuple[Release, Release],
        learner: Learner,
        best: Best,
        fusion: Fusion | None,
        *,
        seconds: float,
        in_time: bool,
    ) -> Fitted:
        """Put together what the two stages gave: the release and the one before, and the best of the search."""
        return cls(
            *releases, learner, fusion, best.ndcg_at_10, best.epochs, best.epoch, seconds,
            best.out_of_time or not in_time, device_name(learner.counts.device),
        )  # fmt: skip


def fit(dataset: Dataset, split: Split, settings: Settings, *, progress: Progress, device: Device = "auto") -> Fitted:
    """Train on a split of a data set and return the model for serving.

    Learns for at most ``settings.plan.budget_s`` seconds; one step, one validation and what is counted rather than
    learnt (`recsvc.factors`, popularity) may come on top: seconds, but near a minute of one core at 300,000 items, most
    of it singular vectors. The same seed, data and thread count give
    the same model on a CPU wherever the time suffices for all the epochs. Raises `TrainError` where the device
    that was asked for is not there.
    """
    place = prepare_device(settings, device)
    rng = np.random.default_rng(settings.seed)
    plan, started_s = settings.plan, time.monotonic()
    share = plan.epochs / max(1, plan.epochs + plan.refit_epochs)
    learner = Learner(dataset.items, settings.shape, plan).to(place)
    known, complete = Timed.cut(split.train, dataset.times_s), all_but_test(dataset, split)
    learner.meet(known.sequences)
    task = Task.of(split.before_validation, split.validation, len(dataset.items))
    material, start = Material(lambda: list(known.shuffled(rng)), rng), Best(copy.deepcopy(learner.state_dict()))
    best = search(
        learner, material, task, plan, start,
        deadline_s=started_s + plan.budget_s * share, progress=progress,
    )  # fmt: skip
    learner.load_state_dict(best.parameters)
    chosen = choose(learner.fold()[0], known.sequences, task, settings.shape.factors)
    previous = release(learner, known.sequences, chosen)
    learner.meet(complete.sequences)
    newest = Material(lambda: list(complete.shuffled(rng)), rng)
    in_time = refit(learner, newest, plan, deadline_s=started_s + plan.budget_s, progress=progress)
    made = release(learner, complete.sequences, chosen)
    return Fitted.of((made, previous), learner, best, chosen, seconds=time.monotonic() - started_s, in_time=in_time)


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


def release(learner: Learner, sequences: Sequence[Indices], fusion: Fusion | None) -> Release:
    """Fold what was learnt into a model that serves, beside it what the same users took, and give users without a
    history popularity's ranking."""
    model, content = learner.fold()
    if fusion is not None:
        content = fusion.into(model, sequences, content)
    counts = torch.from_numpy(evaluation.popularity(sequences, model.items)[1:])
    model.cold_user.copy_(popularity_vector(model.item_embedding.weight, counts))
    return Release(model, content)
