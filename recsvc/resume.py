"""Go on training from an earlier bundle, on what has happened since.

Only items that came at or after the given time are targets; what came before is context. As many users' whole
sequences are learnt again beside them, because a network that meets only what is new forgets the rest
("experience replay", arXiv 1811.11682). The bundle that is resumed is the first candidate: what validates worse
than it, on interactions after that time, is thrown away.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsvc import checkpoint, train
from recsvc.bundle import CHECKPOINT, Bundle, BundleError, Item
from recsvc.data import Dataset, Split
from recsvc.recipe import Progress, Settings, settings_of
from recsvc.stages import Best, Material, refit, search
from recsvc.validation import Task
from recsvc.windows import Timed

Indices = NDArray[np.int64]

FEWEST_VALIDATED = 20
"""Fewer users who have a new validation item choose nothing: the last epoch is taken."""


def checkpoint_of(base: Bundle) -> Path:
    """Where a bundle's parameters lie; raises `BundleError` where it has none."""
    if base.checkpoint_path is None:
        raise BundleError(f"{base.path}: has no {CHECKPOINT} to go on from. Train anew, without --resume.")
    return base.checkpoint_path


def align(dataset: Dataset, items: Sequence[Item]) -> Dataset:
    """The data set over a catalogue that begins with ``items``: their indices stay, new items come behind.

    Items that are in both have the data set's description, which is the newer one, where it has any: whoever goes on
    without naming the catalogue again does not want it forgotten.
    """
    described = {item.id: item for item in dataset.items if not bare(item)}
    old = tuple(described.get(item.id, item) for item in items)
    known = {item.id for item in items}
    catalogue = old + tuple(item for item in dataset.items if item.id not in known)
    index_of = {item.id: index for index, item in enumerate(catalogue, start=1)}
    mapping = np.array([0, *(index_of[item.id] for item in dataset.items)], dtype=np.int64)
    return dataclasses.replace(
        dataset,
        items=catalogue,
        sequences=tuple(mapping[sequence] for sequence in dataset.sequences),
        cleaning=dataclasses.replace(
            dataset.cleaning,
            items=len(catalogue),
            items_without_description=sum(map(bare, catalogue)),
            items_without_interactions=len(catalogue) - len(np.unique(np.concatenate(dataset.sequences))),
        ),
    )


def bare(item: Item) -> bool:
    """Whether nothing is told of an item but its id."""
    return item == Item(item.id, item.id, None, ())


@dataclass(frozen=True)
class Resumed:
    """What was made, whose ``previous`` is the base over the grown catalogue, and how the base validated."""

    fitted: train.Fitted
    base_validation_ndcg_at_10: float
    validation_users: int
    new_events: int


def fit(
    dataset: Dataset,
    split: Split,
    base: Bundle,
    since_s: int,
    *,
    progress: Progress,
    device: train.Device = "auto",
    settings: Settings | None = None,
) -> Resumed:
    """Train on what came at or after ``since_s``; ``dataset`` is aligned with the base's catalogue.

    ``best_epoch`` of what was fitted is 0 where nothing validated better than the base: then it *is* the base,
    over the grown catalogue. ``settings`` are the base's own, but for the seed and the time, which may be others.
    Raises `BundleError` where the base cannot be resumed.
    """
    settings = settings or settings_of(base)
    chosen = train.prepare_device(settings, device)
    rng = np.random.default_rng(settings.seed)
    plan, started_s = settings.plan, time.monotonic()
    learner, fusion = checkpoint.load(checkpoint_of(base), dataset.items, settings.shape, plan)
    learner.to(chosen)
    task = validated(dataset, split, since_s)
    known, complete = Timed.cut(split.train, dataset.times_s), train.all_but_test(dataset, split)
    previous = train.release(learner, until(known, since_s), fusion)
    first = Best(copy.deepcopy(learner.state_dict()), task.ndcg_at_10(learner))
    base_figure = first.ndcg_at_10
    learner.meet(known.sequences)
    half = plan.learning_rate / 2
    going_on = dataclasses.replace(plan, epochs=plan.resume_epochs, learning_rate=half, refit_learning_rate=half)
    share = plan.resume_epochs / max(1, plan.resume_epochs + plan.refit_epochs)
    if not new_events_of(known, since_s):
        going_on = dataclasses.replace(going_on, epochs=0)
    best = search(
        learner, material(known, since_s, settings, rng), task, going_on, first,
        deadline_s=started_s + plan.budget_s * share, progress=progress,
    )  # fmt: skip
    if best.epochs and len(task.targets) < FEWEST_VALIDATED:
        best = dataclasses.replace(best, parameters=copy.deepcopy(learner.state_dict()), epoch=best.epochs)
    learner.load_state_dict(best.parameters)
    in_time = True
    if best.epoch > 0:
        learner.meet(complete.sequences)
        newest = material(complete, since_s, settings, rng)
        in_time = refit(learner, newest, going_on, deadline_s=started_s + plan.budget_s, progress=progress)
    made = train.release(learner, complete.sequences, fusion)
    fitted = train.Fitted.of(
        (made, previous), learner, best, fusion, seconds=time.monotonic() - started_s, in_time=in_time
    )
    return Resumed(fitted, base_figure, len(task.targets), new_events(dataset, since_s))


def learnt_before(dataset: Dataset, split: Split, base: Bundle) -> int:
    """How many of the held-out test items are in what the base learnt of the same users, by their pseudonyms."""
    histories = base.histories
    held_out = zip(split.evaluated.tolist(), split.test.tolist(), strict=True)
    return sum(dataset.items[item - 1].id in histories.get(dataset.users[user], ()) for user, item in held_out)


def until(known: Timed, since_s: int) -> list[Indices]:
    """What of the sequences came before that time, so that the base can have known it."""
    return [s[: np.searchsorted(t, since_s)] for s, t in zip(known.sequences, known.times_s, strict=True)]


def new_events(dataset: Dataset, since_s: int) -> int:
    """How many interactions came at or after that time, in seconds since 1970."""
    return new_events_of(Timed.cut(dataset.sequences, dataset.times_s), since_s)


def new_events_of(known: Timed, since_s: int) -> int:
    """The same of sequences."""
    return int(sum((times >= since_s).sum() for times in known.times_s))


def validated(dataset: Dataset, split: Split, since_s: int) -> Task:
    """The validation items that came at or after that time: the base cannot have learnt them."""
    new = np.array([dataset.times_s[position][-2] >= since_s for position in split.evaluated.tolist()], dtype=bool)
    chosen = np.flatnonzero(new)
    before = [split.before_validation[place] for place in chosen.tolist()]
    return Task.of(before, split.validation[chosen], len(dataset.items))


def material(known: Timed, since_s: int, settings: Settings, rng: np.random.Generator) -> Material:
    """What is learnt: sequences whose old items are negative, which is context, and as many old sequences."""
    first = [int(np.searchsorted(times, since_s)) for times in known.times_s]
    length = settings.shape.max_length

    def sequences() -> list[Indices]:
        shuffled = list(known.shuffled(rng))
        fresh = [_signed(s, at)[max(0, at - length) :] for s, at in zip(shuffled, first, strict=True) if at < len(s)]
        return fresh + [shuffled[place] for place in rng.permutation(len(shuffled))[: len(fresh)].tolist()]

    return Material(sequences, rng)


def _signed(sequence: Indices, first: int) -> Indices:
    return np.where(np.arange(len(sequence)) < first, -sequence, sequence)
