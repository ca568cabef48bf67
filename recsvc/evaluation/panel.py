"""From rankings to figures to what a report says of them, for one panel of users.

A figure's key is (contender, section, name): ("model", "masked", "hr_at_10"), ("ease", "history 20", "ndcg_at_10").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recsvc.data import Split
from recsvc.evaluation import figures
from recsvc.evaluation.beyond import Crowd, about_lists
from recsvc.evaluation.bootstrap import Estimate, Figure
from recsvc.evaluation.cold_start import HISTORY_LENGTHS, TARGET_COUNTS, Bucket, buckets
from recsvc.evaluation.figures import Indices
from recsvc.evaluation.ranking import Ranking

Key = tuple[str, str, str]
Estimates = Mapping[Key, Estimate]

SHORT_K = 10
"""Where only one k is shown: buckets and studies."""
_DIGITS = 6


@dataclass(frozen=True)
class Panel:
    """The evaluated users of a split, and what is asked about them."""

    split: Split
    crowd: Crowd
    ks: tuple[int, ...]

    @cached_property
    def buckets(self) -> Mapping[str, Sequence[Bucket]]:
        """By what they sort users by: ``history``, its length, and ``target``, training counts of the right item."""
        lengths = np.array([len(history) for history in self.split.before_test], dtype=np.int64)
        counts = self.crowd.counts[self.split.test].astype(np.int64)
        return {"history": list(buckets(lengths, HISTORY_LENGTHS)), "target": list(buckets(counts, TARGET_COUNTS))}

    def figures(self, contender: str, ranking: Ranking) -> Iterator[tuple[Key, Figure]]:
        """Every figure of one contender's ranking."""
        for section, found in (("masked", ranking.masked), ("unmasked", ranking.unmasked)):
            for name, figure in accuracy(found, self.ks).items():
                yield (contender, section, name), figure
        for k in self.ks:
            for name, figure in about_lists(ranking.lists[:, :k], self.split.before_test, self.crowd).items():
                yield (contender, f"lists {k}", name), figure
        short = accuracy(ranking.masked, (SHORT_K,))
        for kind, members in self.buckets.items():
            for bucket in members:
                weights = bucket.weights
                for name, figure in short.items():
                    yield (contender, f"{kind} {bucket.first}", name), Figure(figure.numerators * weights, weights)

    def by_bucket(self, kind: str, contenders: Sequence[str], estimates: Estimates) -> list[dict[str, Any]]:
        """The report's list of buckets of one kind."""
        return [
            {
                "first": bucket.first,
                "last": bucket.last,
                "users": int(bucket.members.sum()),
                "figures": {name: section(estimates, name, f"{kind} {bucket.first}") for name in contenders},
            }
            for bucket in self.buckets[kind]
        ]


def accuracy(target_ranks: Indices, ks: Sequence[int]) -> dict[str, Figure]:
    """HR and NDCG at each k, and MRR."""
    found = {f"hr_at_{k}": Figure(figures.hits(target_ranks, k)) for k in ks}
    found |= {f"ndcg_at_{k}": Figure(figures.gains(target_ranks, k)) for k in ks}
    return found | {"mrr": Figure(figures.reciprocals(target_ranks))}


def section(estimates: Estimates, contender: str, name: str) -> dict[str, Any]:
    """The report's FIGURES of one section."""
    return {
        figure: plain(estimate)
        for (who, where, figure), estimate in estimates.items()
        if (who, where) == (contender, name)
    }


def difference(estimates: Estimates, of: str, to: str) -> dict[str, Any]:
    """How much better ``of`` is than ``to`` on the same users."""
    pairs = {
        figure: estimate.minus(estimates[to, where, figure])
        for (who, where, figure), estimate in estimates.items()
        if (who, where) == (of, "masked")
    }
    return {"of": of, "to": to, "figures": {figure: plain(estimate) for figure, estimate in pairs.items()}}


def plain(estimate: Estimate) -> dict[str, Any]:
    """The report's ESTIMATE."""
    low, high = estimate.interval() or (None, None)
    return {
        "value": round(estimate.value, _DIGITS),
        "low": None if low is None else round(low, _DIGITS),
        "high": None if high is None else round(high, _DIGITS),
        "users": estimate.users,
    }
