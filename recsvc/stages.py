"""The two stages of learning: search for the parameters that validate best, then refit with more data."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsvc.learner import Learner
from recsvc.pace import Pace
from recsvc.recipe import Plan, Progress
from recsvc.validation import Task
from recsvc.windows import windows

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """What an epoch learns from: ``sequences()`` gives it, anew each time (`recsvc.windows`)."""

    sequences: Callable[[], Sequence[Indices]]
    rng: np.random.Generator

    def batches(self, learner: Learner) -> list[tuple[Tensor, Tensor]]:
        """One epoch's batches of histories and targets: as many passes as make ``plan.epoch_steps`` of them.

        A shop of 30,000 events has 20 batches; epochs of one pass would end before anything is learnt.
        """
        plan, made = learner.plan, self._pass(learner)
        while made and len(made) < plan.epoch_steps:
            made += self._pass(learner)
        return made

    def _pass(self, learner: Learner) -> list[tuple[Tensor, Tensor]]:
        return list(windows(self.sequences(), learner.encoder.max_length, learner.plan.batch, self.rng))


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
    learner: Learner, material: Material, task: Task, plan: Plan, best: Best, *, deadline_s: float, progress: Progress
) -> Best:
    """Train until the epochs, the patience or the time (on ``time.monotonic``) runs out; ``best`` is what has to be
    beaten, and comes back with what did."""
    stepper = Stepper(learner, plan, Pace(plan.learning_rate, plan.warmup_steps, plan.epochs, deadline_s))
    while best.epochs < plan.epochs and not best.out_of_time and not best.hopeless(plan):
        batches = material.batches(learner)
        loss = stepper.epoch(batches)
        best.epochs += 1
        best.out_of_time = stepper.pace.over() and best.epochs < plan.epochs
        figure = task.ndcg_at_10(learner)
        if figure > best.ndcg_at_10:
            best.ndcg_at_10, best.epoch = figure, best.epochs
            best.parameters = copy.deepcopy(learner.state_dict())
        left_s = stepper.pace.left_s(len(batches))
        told = f"loss {loss:.3f}, validation NDCG@10 {figure:.4f}, {left_s:.0f} s left"
        progress("train", best.epochs, plan.epochs, told)
    return best


def refit(learner: Learner, material: Material, plan: Plan, *, deadline_s: float, progress: Progress) -> bool:
    """Go on with more data for ``plan.refit_epochs``; returns False when the time ran out before them."""
    pace = Pace(plan.refit_learning_rate, plan.warmup_steps, plan.refit_epochs, deadline_s)
    stepper = Stepper(learner, plan, pace)
    for epoch in range(1, plan.refit_epochs + 1):
        batches = material.batches(learner)
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
