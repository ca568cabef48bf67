"""What a bundle is made from, and the key under which it is found again. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from recsvc.bundle import FORMAT_VERSION, Bundle, BundleError

RECIPE_VERSION = 7
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
    content: bool = True
    """Learn from what items are described as too, where they are."""
    factors: int = 128
    """Dimensions beside those of the network for what the same users took (`recsvc.factors`); 0 for none."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn. The time is a bound; on a quiet machine the epochs run out first."""

    epochs: int = 14
    epoch_steps: int = 50
    """An epoch goes through small data several times, until it has taken so many steps."""
    refit_epochs: int = 4
    budget_s: float = 120.0
    """For learning; what comes on top of it is told at `recsvc.train.fit`."""
    batch: int = 32
    """In windows of full length; shorter ones make room for more."""
    learning_rate: float = 4e-3
    refit_learning_rate: float = 4e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    patience: int = 5
    """Stop after so many epochs without a better validation NDCG@10."""
    id_dropout: float = 0.1
    """Share of items that are known by their description alone in a step, where there are descriptions."""
    resume_epochs: int = 6
    """Over what is new, where a training goes on from an earlier bundle."""
    full_softmax_items: int = 10_000
    """Larger catalogues are learnt against a sample of ``sampled_items`` items a step."""
    sampled_items: int = 2048
    threads: int = 2
    """On a CPU; 0 for as many as there are cores."""
    mixed_precision: bool = False
    """bfloat16 where that is faster: on a GPU."""


@dataclass(frozen=True)
class Settings:
    """Everything a bundle depends on besides the data. The defaults are what a drill deploys."""

    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    plan: Plan = field(default_factory=Plan)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Settings:
        """Settings from a manifest, as `dataclasses.asdict` wrote them; raises TypeError or KeyError on others."""
        return cls(document["seed"], Shape(**document["shape"]), Plan(**document["plan"]))

    def key(self, data_sha256: str, **more: object) -> str:
        """Return 16 hex digits that depend on the data, every setting, and the code's recipe and format.

        ``more`` is what else the bundle was made from, such as the one that it resumes.
        """
        parts = {
            "data": data_sha256,
            "settings": asdict(self),
            "recipe": RECIPE_VERSION,
            "format": FORMAT_VERSION,
            **more,
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def settings_of(base: Bundle) -> Settings:
    """The settings that a bundle was made with; raises `BundleError` where another version made it."""
    try:
        return Settings.read(base.manifest["settings"])
    except (KeyError, TypeError) as error:
        raise BundleError(f"{base.path}: was made by another version ({error}). Train anew.") from error


PRESETS: Mapping[str, Settings] = {
    "default": Settings(),
    "quality": Settings(
        shape=Shape(dimensions=128, blocks=2, heads=2, max_length=200, dropout=0.25),
        plan=Plan(
            epochs=40,
            refit_epochs=3,
            budget_s=3600.0,
            batch=16,
            learning_rate=2e-3,
            refit_learning_rate=2e-3,
            warmup_steps=200,
            patience=8,
            sampled_items=8192,
            threads=0,
            mixed_precision=True,
        ),
    ),
}
"""``default`` trains in about two minutes on two cores; ``quality`` takes a GPU or an hour and longer histories."""
