"""The same list for everybody: the items that most users know. What any model has to beat first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsvc.baselines.base import Choice, Indices, Scores, counts


@dataclass(frozen=True)
class Popularity:
    """Fitted: how often each item occurs, float32 ``[items + 1]``."""

    popularity: Scores

    def scores(self, histories: Sequence[Indices]) -> Scores:
        return np.tile(self.popularity, (len(histories), 1))


class PopularityKind:
    """See `recsvc.baselines.base.Kind`."""

    name = "popularity"
    title = "popularity"
    about = "the items that most users know, the same for everybody"
    grid: Sequence[Choice] = ()
    searches_on_part = False

    def refuses(self, items: int) -> str | None:
        return None

    def fit(self, sequences: Sequence[Indices], items: int, choice: Choice) -> Popularity:
        return Popularity(counts(sequences, items))
