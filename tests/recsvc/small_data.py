"""The small known data set of the offline half's tests, and settings that learn it in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from recsvc.data import Acquired, Dataset, Split
from recsvc.recipe import Plan, Settings, Shape

QUICK = Settings(
    seed=3,
    shape=Shape(dimensions=32, dropout=0.1, factors=16),
    plan=Plan(epochs=8, epoch_steps=1, refit_epochs=1, budget_s=60.0),
)

SMALL = {"users": 200, "items_per_genre": 10, "events": 24}
"""What the small data set is made with (`recsvc.synthetic`)."""


@dataclass(frozen=True)
class Small:
    """200 users over 12 rings of 10 items, as read from disk."""

    acquired: Acquired
    dataset: Dataset
    split: Split
