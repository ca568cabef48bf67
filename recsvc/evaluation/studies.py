"""What if less were known? Users whose history is withheld, and items met for the first time, without retraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsvc.data import Split
from recsvc.evaluation.bootstrap import resample
from recsvc.evaluation.cold_start import KNOWN_ITEMS, as_if_new, withheld
from recsvc.evaluation.contenders import MODEL, Contender
from recsvc.evaluation.encoding import Encoder
from recsvc.evaluation.figures import Indices, Scores
from recsvc.evaluation.panel import SHORT_K, Key, accuracy, section
from recsvc.evaluation.ranking import Scorer, dot, rank


@dataclass(frozen=True)
class Study:
    """Some evaluated users, and how often to draw them again."""

    histories: Sequence[Indices]
    targets: Indices
    items: int
    draws: int
    seed: int

    @classmethod
    def of(cls, split: Split, chosen: Indices, items: int, draws: int, seed: int) -> Study:
        """The study of the users at these positions of ``split.evaluated``."""
        return cls([split.before_test[user] for user in chosen], split.test[chosen], items, draws, seed)

    def users_as_if_new(self, contenders: Sequence[Contender], say: Callable[[str], None]) -> list[dict[str, Any]]:
        """The same users, known by fewer and fewer of their items.

        Items withheld stay masked: they cannot be the right one, and a user who is really new would not find
        them at the head of the list as things long known.
        """
        found = []
        for known in KNOWN_ITEMS:
            say(f"users of whom {known} items are known")
            histories = withheld(self.histories, known)
            figures = self._figures({each.name: each.scorer(histories) for each in contenders})
            found.append({"first": known, "last": known, "users": len(self.targets), "figures": figures})
        return found

    def items_as_if_new(self, encoder: Encoder, table: Scores, content: Scores) -> dict[str, Any]:
        """Each right item scored by its content alone; ``chance`` is the HR of a list drawn blindly.

        The content tower has learnt from these items' interactions too, so an item that is really new can be
        expected to do somewhat worse.
        """
        users = encoder.users(self.histories)
        scorer = as_if_new(dot(users, table), users, content, self.targets)
        unseen = self.items - np.array([len(history) for history in self.histories])
        chance = float(np.minimum(1.0, SHORT_K / np.maximum(1, unseen)).mean())
        return {"users": len(self.targets), "chance": round(chance, 6), "figures": self._figures({MODEL: scorer})}

    def _figures(self, scorers: dict[str, Scorer]) -> dict[str, Any]:
        named = {}
        for name, scorer in scorers.items():
            ranks = rank(scorer, self.histories, self.targets, items=self.items).masked
            for figure, values in accuracy(ranks, (SHORT_K,)).items():
                key: Key = (name, "study", figure)
                named[key] = values
        estimates = resample(named, users=len(self.targets), draws=self.draws, seed=self.seed)
        return {name: section(estimates, name, "study") for name in scorers}
