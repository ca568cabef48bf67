"""Where each case's target comes out under each way of ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recsvc.accelerator import SessionDevice
from recsvc.bundle import Bundle
from recsvc.inference import MAX_BATCH, Job, collate
from recsvc.search.index import SearchIndex
from recsvc.search_task.queries import Case, cases

Ranks = NDArray[np.float64]
"""How many items stand above the target, 0 for the first place; inf where it is not found at all."""


@dataclass(frozen=True)
class Task:
    """Users with the items they had before (``seen``, catalogue indices, oldest first) and the one they took next."""

    users: Sequence[str]
    seen: Sequence[Sequence[int]]
    targets: Sequence[int]
    vectors: NDArray[np.float32]
    """float32 [users, d], from a model that was trained on none of the targets."""
    popularity: NDArray[np.float64]
    """How often each item was taken before, float64 [items + 1], targets not counted."""
    index: SearchIndex
    cases: Sequence[Case]

    @cached_property
    def matches(self) -> Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        return {case.query: self.index.matching(case.query) for case in self.cases}

    @cached_property
    def liking(self) -> NDArray[np.float64]:
        """log(1 + how often taken), standardised over the catalogue, [items + 1]: popularity as a taste all share."""
        logs = np.log1p(self.popularity)
        return np.asarray((logs - logs[1:].mean()) / max(1e-9, float(logs[1:].std())))


def make_task(
    bundle: Bundle, index: SearchIndex, histories: Mapping[str, Sequence[int]], targets: Mapping[str, int]
) -> Task:
    """A task for the users of ``targets``; ``histories`` hold what each user had before, and other users' whole."""
    users = list(targets)
    seen = [histories[user] for user in users]
    taken = np.array([item for history in histories.values() for item in history], dtype=np.int64)
    popularity = np.bincount(taken, minlength=len(bundle.items) + 1).astype(np.float64)
    chosen = [targets[user] for user in users]
    return Task(users, seen, chosen, encode(bundle, seen), popularity, index, cases(bundle.items, users, chosen))


def encode(bundle: Bundle, histories: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """The model's vectors for histories (catalogue indices, oldest first), float32 [users, d]."""
    device = SessionDevice("cpu", bundle.model_path, 1)
    jobs = [Job(history[-bundle.max_length :], (), 1) for history in histories]
    batches = [device.run(collate(jobs[at : at + MAX_BATCH]))["user"] for at in range(0, len(jobs), MAX_BATCH)]
    return np.concatenate(batches)


def fused_ranks(task: Task, weights: Sequence[float], *, popular: bool = False) -> NDArray[np.float64]:
    """Ranks [cases, weights] in what search answers with each personal weight.

    ``popular``: with popularity in the place of the user's taste.
    """
    weights_row = np.asarray(weights, dtype=np.float64)[:, None]
    ranks = np.full((len(task.cases), len(weights)), np.inf)
    for row, case in enumerate(task.cases):
        items, text = task.matches[case.query]
        at = int(np.searchsorted(items, case.target))
        if at == len(items) or items[at] != case.target:
            continue
        taste = task.liking[items] if popular else task.index.taste.of(task.vectors[case.user], items)
        scores = text + weights_row * taste
        own = scores[:, at : at + 1]
        above = (scores > own) | ((scores == own) & (items < case.target))
        ranks[row] = above.sum(axis=1)
    return ranks


def personal_ranks(task: Task) -> Ranks:
    """Ranks [cases] in what is recommended without any query: seen items are left out, at no other's expense."""
    by_user = np.empty(len(task.users))
    everything = np.arange(1, len(task.popularity))
    for row, target in enumerate(task.targets):
        scores = task.index.taste.of(task.vectors[row], everything)
        own = scores[target - 1]
        above = (scores > own) | ((scores == own) & (everything < target))
        above[np.asarray(task.seen[row], dtype=np.int64) - 1] = False
        by_user[row] = above.sum()
    return by_user[[case.user for case in task.cases]]
