"""The held-out query task: does search put first what this user took next? docs/recommender.md defines it.

`report` measures one bundle; ``python -m recsvc.search_task BUNDLE`` prints that as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsvc.bundle import Bundle, BundleError
from recsvc.search.index import PERSONAL_WEIGHT, SearchIndex
from recsvc.search_task.queries import AMBIGUOUS, KINDS, TITLE, Case
from recsvc.search_task.ranking import Task, fused_ranks, make_task, personal_ranks

__all__ = ["AMBIGUOUS", "GRID", "KINDS", "report"]

GRID = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 5.0)
MAX_USERS = 2000
"""Of more evaluated users so many are asked for, evenly spaced."""
RESAMPLES = 2000
Say = Callable[[str], None]
Figures = NDArray[np.float64]
METRICS: Mapping[str, Callable[[Figures], Figures]] = {
    "mrr": lambda ranks: 1 / (ranks + 1),
    "hr_at_10": lambda ranks: (ranks < 10).astype(np.float64),
    "ndcg_at_10": lambda ranks: np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0),
}


def report(bundle: Bundle, *, resamples: int = RESAMPLES, say: Say = lambda line: None) -> dict[str, Any]:
    """Measure search on the held-out test items; JSON-able.

    ``kinds``: for each kind of query, for ``ambiguous`` (the mean of all kinds but whole titles) and for ``all``: how
    many ``cases``, each metric (0 to 1) of each ranking, and the differences with 95 % intervals (percentile
    bootstrap over users, paired). ``weight``: the grid on validation items, its best weight, and the one that serves;
    None for a bundle without the release before it, whose model alone has not seen those items. ``seen_again``: of
    whole titles that a user has taken before, the share that search puts first.
    """
    histories, targets = _indices(bundle)
    say("indexing the catalogue")
    index = SearchIndex(bundle.items, np.load(bundle.embeddings_path))
    weight, popular_weight = _validate(bundle, index, histories, targets, say)
    task = make_task(bundle, index, histories, targets)
    say(f"{len(task.cases)} queries of {len(task.users)} users")
    ranks = {
        "fused": fused_ranks(task, [PERSONAL_WEIGHT])[:, 0],
        "text": fused_ranks(task, [0.0])[:, 0],
        "text_and_popularity": fused_ranks(task, [popular_weight], popular=True)[:, 0],
        "personal": personal_ranks(task),
    }
    return {
        "users": len(task.users),
        "resamples": resamples,
        "weight": weight,
        "popularity_weight": popular_weight,
        "kinds": {
            name: _figures(task, ranks, kinds, resamples) for name, kinds in _groups(task.cases).items() if kinds
        },
        "seen_again": _seen_again(bundle, index, task),
    }


def _indices(bundle: Bundle) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Every user's history and the evaluated users' test items, as catalogue indices."""
    index_of = bundle.index_of
    histories = {user: [index_of[item] for item in items] for user, items in bundle.histories.items()}
    users = bundle.evaluation.users[:: -(-len(bundle.evaluation.users) // MAX_USERS) or 1]
    targets = {user: index_of[bundle.evaluation.expected[user][0]] for user in users}
    if not targets:
        raise BundleError(f"{bundle.path}: it evaluates no user, so there is nothing to search for.")
    return histories, targets


def _validate(
    bundle: Bundle, index: SearchIndex, histories: Mapping[str, list[int]], targets: Mapping[str, int], say: Say
) -> tuple[dict[str, Any] | None, float]:
    """The grid of weights on validation items, and the best weight of popularity there.

    An evaluated user's validation item is the last of the history. The model that serves was trained on it in the
    end; the release before it was not, so that one's vectors are used.
    """
    try:
        before = bundle.previous()
    except BundleError as error:
        say(f"the weight cannot be checked on validation items: {error}")
        return None, PERSONAL_WEIGHT
    say("weights, on validation items")
    held_out = {user: histories[user][-1] for user in targets if len(histories[user]) > 1}
    earlier = {
        user: history[:-1] if user in bundle.evaluation.expected and len(history) > 1 else history
        for user, history in histories.items()
    }
    task = make_task(before, index.with_embeddings(np.load(before.embeddings_path)), earlier, held_out)
    personal, popular = (_mean_by_weight(task, popular=popular) for popular in (False, True))
    weight = {
        "served": PERSONAL_WEIGHT,
        "best_on_validation": GRID[int(personal.argmax())],
        "grid": list(GRID),
        "validation_mrr": [round(value, 4) for value in personal.tolist()],
    }
    return weight, GRID[int(popular.argmax())]


def _mean_by_weight(task: Task, *, popular: bool) -> Figures:
    """MRR a weight, the mean of all kinds of query, [weights]."""
    reciprocal = METRICS["mrr"](fused_ranks(task, GRID, popular=popular))
    kinds = np.array([case.kind for case in task.cases])
    return np.asarray(np.mean([reciprocal[kinds == kind].mean(axis=0) for kind in dict.fromkeys(kinds)], axis=0))


def _groups(cases: Sequence[Case]) -> dict[str, list[str]]:
    present = [kind for kind in KINDS if any(case.kind == kind for case in cases)]
    return {
        **{kind: [kind] for kind in present},
        "ambiguous": [kind for kind in AMBIGUOUS if kind in present],
        "all": present,
    }


def _figures(task: Task, ranks: Mapping[str, Figures], kinds: Sequence[str], resamples: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"cases": sum(case.kind in kinds for case in task.cases)}
    values = {
        name: {metric: _by_user(task, measure(own), kinds) for metric, measure in METRICS.items()}
        for name, own in ranks.items()
    }
    for name in ranks:
        figures[name] = {metric: round(_mean(values[name][metric]), 4) for metric in METRICS}
    for other in ("text", "text_and_popularity", "personal"):
        figures[f"fused_minus_{other}"] = {
            metric: _difference(values["fused"][metric] - values[other][metric], resamples) for metric in METRICS
        }
    return figures


def _by_user(task: Task, values: Figures, kinds: Sequence[str]) -> Figures:
    """[users, kinds]; NaN where a user has no such query."""
    table = np.full((len(task.users), len(kinds)), np.nan)
    for case, value in zip(task.cases, values, strict=True):
        if case.kind in kinds:
            table[case.user, kinds.index(case.kind)] = value
    return table


def _mean(table: Figures) -> float:
    """The mean over kinds, each of which counts the same however many users have it."""
    return float(np.nanmean(table, axis=0).mean())


def _difference(table: Figures, resamples: int) -> dict[str, float]:
    """Whole users are drawn again: one user's queries are all after the same item, so they are one observation."""
    draws = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), size=resamples)
    there = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        each = (draws @ np.where(there, table, 0.0)) / (draws @ there.astype(np.float64))
    low, high = np.nanquantile(np.nanmean(each, axis=1), (0.025, 0.975))
    return {"difference": round(_mean(table), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _seen_again(bundle: Bundle, index: SearchIndex, task: Task) -> dict[str, Any]:
    """Each user types the whole title of the oldest item of the own history: taste must not push it aside."""
    asked = [(row, seen[0]) for row, seen in enumerate(task.seen) if seen]
    tops = [index.rank(bundle.items[item - 1].title, task.vectors[row], 1).items for row, item in asked]
    titles = [(bundle.items[item - 1].title, top) for (_, item), top in zip(asked, tops, strict=True)]
    # Several items may bear one title; any of them is what was asked for.
    first = sum(len(top) > 0 and bundle.items[int(top[0]) - 1].title == title for title, top in titles)
    return {"kind_of_query": TITLE, "cases": len(asked), "first": round(first / max(1, len(asked)), 4)}
