"""Who is compared: the bundle's model and the baselines, each as something that scores any histories."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recsvc.baselines import Baseline, Choice, Kind
from recsvc.data import Split
from recsvc.evaluation import figures
from recsvc.evaluation.encoding import Encoder
from recsvc.evaluation.figures import Indices, Scores
from recsvc.evaluation.ranking import Scorer, dot, rank

VALIDATION_USERS = 20_000
"""A choice is made on at most so many users, drawn by chance: more would not change it, and cost minutes."""
SEARCH_INTERACTIONS = 1_000_000
"""Kinds that can be fitted on a part of the users search on about so many interactions, and are then fitted on all."""

NEWEST = (5, 10, 20, 50, 0)
"""To how many of a user's newest items a baseline listens, 0 meaning all.

Neither EASE nor a matrix factorisation knows an order, and the next item depends most on the newest ones: on
MovieLens-100k factors of the newest five find a third more right items than of all. Without this choice the
baselines would be easy to beat.
"""

MODEL = "model"


@dataclass(frozen=True)
class Contender:
    """``scorer(histories)`` scores these histories. ``choice`` is what validation chose, empty where nothing was."""

    name: str
    title: str
    about: str
    scorer: Callable[[Sequence[Indices]], Scorer]
    seconds: float
    choice: Choice = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)


def model(encoder: Encoder, table: Scores) -> Contender:
    """The bundle's model: its graph encodes, its table ``[items + 1, d]`` scores."""

    def scorer(histories: Sequence[Indices]) -> Scorer:
        return dot(encoder.users(histories), table)

    return Contender(MODEL, "model", "the bundle's own graph and item table", scorer, 0.0)


def baseline(kind: Kind, split: Split, items: int, *, seed: int, say: Callable[[str], None]) -> Contender:
    """Fit a baseline to everything but the test items; what there is to choose, validation items choose."""
    started_s = time.monotonic()
    choice, tried = _choose(kind, split, items, seed, say)
    newest = int(choice.get("newest", 0))
    say(f"fitting {kind.title}")
    fitted = kind.fit([*split.before_test, *split.not_evaluated], items, choice)
    seconds = time.monotonic() - started_s

    def scorer(histories: Sequence[Indices]) -> Scorer:
        return _listening(fitted, histories, newest)

    return Contender(kind.name, kind.title, kind.about, scorer, seconds, choice, tried)


def _choose(
    kind: Kind, split: Split, items: int, seed: int, say: Callable[[str], None]
) -> tuple[Choice, Mapping[str, float]]:
    """The choice with the best validation NDCG@10, and what each reached; fitted without validation and test items."""
    if not kind.grid:
        return {}, {}
    rng = np.random.default_rng(seed)
    chosen = sample(len(split.evaluated), VALIDATION_USERS, rng)
    known = [split.before_validation[user] for user in chosen]
    training = _part(split.train, rng) if kind.searches_on_part else split.train
    reached: dict[str, float] = {}
    choices: list[Choice] = []
    for number, choice in enumerate(kind.grid, start=1):
        say(f"{kind.title}: choice {number} of {len(kind.grid)}, {_words(choice)}")
        fitted = kind.fit(training, items, choice)
        for newest in NEWEST:
            choices.append({**choice, "newest": newest})
            found = rank(_listening(fitted, known, newest), known, split.validation[chosen], items=items)
            reached[_words(choices[-1])] = figures.ndcg(found.masked, 10)
    return max(choices, key=lambda choice: reached[_words(choice)]), reached


def _words(choice: Choice) -> str:
    return " ".join(f"{name}={value:g}" for name, value in choice.items())


def _listening(fitted: Baseline, histories: Sequence[Indices], newest: int) -> Scorer:
    """Score by the newest items of each history, or all if 0."""
    return lambda rows: fitted.scores([history[-newest:] for history in histories[rows]])


def _part(sequences: Sequence[Indices], rng: np.random.Generator) -> Sequence[Indices]:
    total = sum(map(len, sequences))
    if total <= SEARCH_INTERACTIONS:
        return sequences
    return [sequences[user] for user in sample(len(sequences), len(sequences) * SEARCH_INTERACTIONS // total, rng)]


def sample(population: int, most: int, rng: np.random.Generator) -> Indices:
    """Positions 0 to ``population`` - 1, or ``most`` of them drawn by chance, in rising order."""
    if population <= most:
        return np.arange(population)
    chosen: Indices = np.sort(rng.choice(population, most, replace=False))
    return chosen
