"""The figures that a bundle's manifest carries: few, and the same names in every release."""

from __future__ import annotations

import numpy as np

from recsvc.data import Split
from recsvc.evaluation import figures
from recsvc.evaluation.bootstrap import Figure, resample
from recsvc.evaluation.figures import Indices, Scores
from recsvc.evaluation.ranking import Scorer, dot, rank

DRAWS = 1000


def measure(users: Scores, table: Scores, split: Split) -> dict[str, float]:
    """Test figures of user vectors ``[users, d]`` and an item table ``[items + 1, d]``, popularity's beside.

    ``users`` run parallel to ``split.evaluated``. Popularity counts what the model may learn from: everything
    but the test items.
    """
    items = len(table) - 1
    counts = figures.popularity([*split.before_test, *split.not_evaluated], items)

    def ranked(scorer: Scorer) -> Indices:
        return rank(scorer, split.before_test, split.test, items=items).masked

    own = report(ranked(dot(users, table)))
    popular = report(ranked(lambda rows: np.tile(counts, (rows.stop - rows.start, 1))), "popularity_")
    return own | popular | {"users": len(users)}


def report(target_ranks: Indices, prefix: str = "", *, seed: int = 0) -> dict[str, float]:
    """HR@10, NDCG@10, recall@20 and MRR, each with ``_low`` and ``_high``, its bootstrap interval at 95 %.

    ``hr_at_10_standard_error`` is that of a proportion over the users. Where `Estimate.interval` has none,
    the two are left out.
    """
    values = {
        "hr_at_10": figures.hits(target_ranks, 10),
        "ndcg_at_10": figures.gains(target_ranks, 10),
        "recall_at_20": figures.hits(target_ranks, 20),
        "mrr": figures.reciprocals(target_ranks),
    }
    users = len(target_ranks)
    named = {name: Figure(value) for name, value in values.items()}
    found: dict[str, float] = {}
    for name, estimate in resample(named, users=users, draws=DRAWS, seed=seed).items():
        found[name] = estimate.value
        if interval := estimate.interval():
            found[f"{name}_low"], found[f"{name}_high"] = interval
        if name == "hr_at_10":
            found["hr_at_10_standard_error"] = float(np.sqrt(estimate.value * (1 - estimate.value) / users))
    return {prefix + name: round(value, 5) for name, value in found.items()}
