"""The whole evaluation of a bundle: the model beside its baselines, figure by figure, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recsvc import tables
from recsvc.baselines import KINDS, Kind
from recsvc.bundle import Bundle
from recsvc.data import Dataset, Split, hold_out
from recsvc.evaluation import contenders, figures
from recsvc.evaluation.beyond import Crowd, coverage
from recsvc.evaluation.bootstrap import LEVEL, Figure, resample
from recsvc.evaluation.contenders import MODEL, Contender
from recsvc.evaluation.encoding import Encoder
from recsvc.evaluation.figures import Scores
from recsvc.evaluation.panel import Estimates, Key, Panel, difference, section
from recsvc.evaluation.ranking import rank
from recsvc.evaluation.studies import Study
from recsvc.recipe import Progress

REPORT_FORMAT = 1
STUDY_USERS = 10_000
"""The studies rank again several times, for at most so many users drawn by chance."""


class EvaluationError(Exception):
    """This bundle cannot be evaluated on this data; ``str()`` says why and what to do."""


def full_report(
    bundle: Bundle,
    dataset: Dataset,
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Progress = lambda stage, done, total, message: None,
    kinds: Sequence[Kind] = KINDS,
) -> dict[str, Any]:
    """Evaluate a bundle and the baselines on the held-out test items of the data that it was made from.

    Returns what `json.dumps` takes; docs/recommender.md, "Quality", explains every figure. ESTIMATE stands for
    ``{"value", "low", "high", "users"}``, ``low`` and ``high`` being None where there is no interval
    (`bootstrap.Estimate.interval`), FIGURES for a mapping from names such as ``hr_at_10`` to ESTIMATE::

        format      1
        protocol    users, items, interactions, ks, split, ties, level, draws, seed
        bundle      version, data_source, synthetic
        models      a list, the model first: name, title, about, choice, validation (NDCG@10 of each choice),
                    seconds (to choose and fit), masked and unmasked (FIGURES: hr_at_k, ndcg_at_k, mrr), lists (a
                    list: k, coverage (a number), figures (FIGURES: novelty_bits, average_popularity,
                    popularity_ratio))
        not_run     a list: name, reason
        differences a list: of, to, figures (FIGURES, masked: of minus to, paired)
        users_by_history, items_by_count, users_as_if_new
                    lists of: first, last (None: no end), users, figures (model name to FIGURES)
        items_as_if_new  None where the bundle tells no content apart; else users, chance, figures (as above)

    Raises `EvaluationError` when nobody is held out or the bundle was made from other data, ValueError on a
    model whose scores are not numbers.
    """
    subject = _Subject(bundle, dataset, hold_out(dataset.sequences), bootstrap, seed)
    subject.check()
    encoder = Encoder(bundle)
    running, refused = _contenders(subject, encoder, kinds, progress)
    panel = Panel(subject.split, subject.crowd, tuple(ks))
    covered, estimates = _estimates(subject, panel, running, progress)
    names = [contender.name for contender in running]
    models = [_about(each, panel, covered[each.name], estimates) for each in running]
    return {
        "format": REPORT_FORMAT,
        "protocol": subject.protocol(ks),
        "bundle": {"version": bundle.version, "data_source": bundle.data_source, "synthetic": bundle.synthetic},
        "models": models,
        "not_run": refused,
        "differences": [difference(estimates, MODEL, name) for name in names if name != MODEL],
        "users_by_history": panel.by_bucket("history", names, estimates),
        "items_by_count": panel.by_bucket("target", names, estimates),
        **_studies(subject, encoder, running, progress),
    }


@dataclass(frozen=True)
class _Subject:
    """What is evaluated, on what, and how often users are drawn again."""

    bundle: Bundle
    dataset: Dataset
    split: Split
    draws: int
    seed: int

    @property
    def items(self) -> int:
        return len(self.dataset.items)

    @cached_property
    def table(self) -> Scores:
        table: Scores = np.load(self.bundle.embeddings_path)
        return table

    @cached_property
    def content(self) -> Scores | None:
        """The part of the table that comes from what items are; None where the model has none."""
        content: Scores = np.load(self.bundle.content_path)
        return content if content.any() else None

    @cached_property
    def crowd(self) -> Crowd:
        known = [*self.split.before_test, *self.split.not_evaluated]
        return Crowd(figures.popularity(known, self.items), len(self.dataset.users))

    def check(self) -> None:
        """Raise `EvaluationError` unless the bundle holds out the very items that the split does."""
        if not len(self.split.test):
            raise EvaluationError(
                f"nobody to evaluate: none of {len(self.dataset.users)} users has enough interactions to hold one out. "
                "Evaluate on more data."
            )
        ids = [item.id for item in self.dataset.items]
        kept = tables.sample(len(self.split.test))  # of many users a bundle names these
        # Users by their order: under another pseudonym key the same data call them something else.
        held_out = [(ids[target - 1],) for target in self.split.test[kept].tolist()]
        told = self.bundle.evaluation
        if ids != [item.id for item in self.bundle.items] or held_out != [told.expected[user] for user in told.users]:
            raise EvaluationError(
                f"{self.bundle.path}: made from other data: catalogue or held-out items differ, so the model may have "
                "learnt from test items. Name the data that the bundle was made from, or train on this."
            )

    def protocol(self, ks: Sequence[int]) -> dict[str, Any]:
        return {
            "users": len(self.split.test),
            "items": self.items,
            "interactions": sum(map(len, self.dataset.sequences)),
            "ks": list(ks),
            "split": "leave-one-out: each user's last item, the whole catalogue ranked",
            "ties": "of equal scores the lower catalogue index comes first",
            "level": LEVEL,
            "draws": self.draws,
            "seed": self.seed,
        }


def _contenders(
    subject: _Subject, encoder: Encoder, kinds: Sequence[Kind], progress: Progress
) -> tuple[list[Contender], list[dict[str, str]]]:
    """The model and each baseline that can be fitted; and of the others, why not."""
    running, refused = [contenders.model(encoder, subject.table)], []
    for number, kind in enumerate(kinds):
        reason = kind.refuses(subject.items)
        if reason is not None:
            refused.append({"name": kind.name, "reason": reason})
            continue

        def say(message: str, done: int = number) -> None:
            progress("baselines", done, len(kinds), message)

        running.append(contenders.baseline(kind, subject.split, subject.items, seed=subject.seed, say=say))
    progress("baselines", len(kinds), len(kinds), "fitted")
    return running, refused


def _estimates(
    subject: _Subject, panel: Panel, running: Sequence[Contender], progress: Progress
) -> tuple[dict[str, dict[int, float]], Estimates]:
    """Rank everybody with every contender: coverage by contender and k, and all other figures from the same draws."""
    split, named, covered = subject.split, dict[Key, Figure](), {}
    users = len(split.test)
    for number, contender in enumerate(running):

        def tick(done: int, total: int, before: int = number * users, title: str = contender.title) -> None:
            progress("ranking", before + done, len(running) * users, title)

        scorer = contender.scorer(split.before_test)
        ranking = rank(scorer, split.before_test, split.test, items=subject.items, list_length=max(panel.ks), tick=tick)
        named |= dict(panel.figures(contender.name, ranking))
        covered[contender.name] = {k: coverage(ranking.lists[:, :k], subject.items) for k in panel.ks}
    progress("intervals", 0, 1, f"drawing the users {subject.draws} times again")
    estimates = resample(named, users=users, draws=subject.draws, seed=subject.seed)
    progress("intervals", 1, 1, f"from {subject.draws} draws")
    return covered, estimates


def _about(contender: Contender, panel: Panel, covered: dict[int, float], estimates: Estimates) -> dict[str, Any]:
    return {
        "name": contender.name,
        "title": contender.title,
        "about": contender.about,
        "choice": dict(contender.choice),
        "validation": {choice: round(value, 6) for choice, value in contender.validation.items()},
        "seconds": round(contender.seconds, 2),
        "masked": section(estimates, contender.name, "masked"),
        "unmasked": section(estimates, contender.name, "unmasked"),
        "lists": [
            {"k": k, "coverage": round(covered[k], 6), "figures": section(estimates, contender.name, f"lists {k}")}
            for k in panel.ks
        ],
    }


def _studies(subject: _Subject, encoder: Encoder, running: Sequence[Contender], progress: Progress) -> dict[str, Any]:
    chosen = contenders.sample(len(subject.split.test), STUDY_USERS, np.random.default_rng(subject.seed))
    study = Study.of(subject.split, chosen, subject.items, subject.draws, subject.seed)
    users = study.users_as_if_new(running, lambda message: progress("studies", 0, 1, message))
    content = subject.content
    items = None if content is None else study.items_as_if_new(encoder, subject.table, content)
    progress("studies", 1, 1, "less known")
    return {"users_as_if_new": users, "items_as_if_new": items}
