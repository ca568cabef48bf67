"""What a bundle is made from, and the key under which it is found again. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from recsvc.bundle import FORMAT_VERSION

RECIPE_VERSION = 3
"""Raise when the code makes another bundle of the same settings: cached ones are then no longer found."""

Progress = Callable[[str, int, int, str], None]
"""Called with the stage, how much of it is done, how much there is, and a message for people."""


@dataclass(frozen=True)
class Shape:
    """The size of a model. ``max_length`` is how many of a user's newest items it takes in."""

    dimensions: int = 64
    blocks: int = 2
    heads: int = 2
    max_length: int = 50
    dropout: float = 0.2


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn. The time is a bound; on a quiet machine the epochs run out first."""

    epochs: int = 10
    refit_epochs: int = 2
    budget_s: float = 90.0
    """For all training; the step in flight when it ends is finished (0.1 s)."""
    batch: int = 32
    learning_rate: float = 4e-3
    refit_learning_rate: float = 1e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    patience: int = 5
    """Stop after so many epochs without a better validation NDCG@10."""


@dataclass(frozen=True)
class Settings:
    """Everything a bundle depends on besides the data. The defaults are what a drill deploys."""

    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    plan: Plan = field(default_factory=Plan)

    def key(self, data_sha256: str) -> str:
        """Return 16 hex digits that depend on the data, every setting, and the code's recipe and format."""
        parts = {
            "data": data_sha256,
            "settings": asdict(self),
            "recipe": RECIPE_VERSION,
            "format": FORMAT_VERSION,
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


PRESETS: Mapping[str, Settings] = {"default": Settings()}
"""Settings by name."""
