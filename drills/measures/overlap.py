"""Are the same things recommended as with nothing broken: rank-biased overlap with the baseline's own lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from drills.measures.availability import Z_95
from drills.measures.listed import Listed, listed_in
from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.quality import STREAM, clustered_error, recorded_baseline
from drills.measures.schedule import Floats, unobserved
from drills.recording.timeline import Coded, Timeline


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], p: float) -> float:
    """How alike two ranked lists are, from 0 (nothing in common) to 1 (the same), ``p`` weighing deeper ranks down.

    The extrapolated form for lists of uneven length: Webber, Moffat and Zobel, A similarity measure for indefinite
    rankings, ACM TOIS 28(4), 2010, equation 32. 0 where one list is empty; an id repeated in a list counts once.
    """
    short, long = sorted((list(one), list(other)), key=len)
    least, most = len(short), len(long)
    if not least:
        return 0.0
    common = [len(set(short[:depth]) & set(long[:depth])) for depth in range(most + 1)]
    total = sum(common[depth] / depth * p**depth for depth in range(1, most + 1))
    beyond = range(least + 1, most + 1)
    total += sum(common[least] * (depth - least) / (least * depth) * p**depth for depth in beyond)
    last = (common[most] - common[least]) / most + common[least] / least
    return (1 - p) / p * total + last * p**most


def overlap(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """Mean overlap of the phase's answers to evaluation users with the list that the baseline gave the same user.

    Answers without a list say nothing about overlap (availability counts them). Unknown without lists in the
    baseline, or with fewer than ``min_lists`` distinct users.
    """
    name, k, baseline = key(f"overlap_at_{settings.quality_k}", phase), settings.quality_k, recorded_baseline(timeline)
    lists = _lists(baseline.get("lists"), k)
    if not lists:
        return unknown(name, "The baseline holds no lists to compare with.")
    answers = listed_in(timeline, phase, STREAM)
    answers = answers.where(np.array([user in lists for user in answers.names], np.bool_)[answers.user])
    users = len(np.unique(answers.user))
    if users < settings.min_lists:
        return unknown(
            name, f"Only {users} users' lists can be compared in the phase '{phase}', {settings.min_lists} are needed."
        )
    values = _overlaps(answers, lists, settings)
    unseen = unobserved(timeline, STREAM, phase, settings)
    count, total = len(values), float(values.sum())
    mean = total / count
    error = clustered_error(answers.user, values - mean, count)
    return Measure(
        name=name,
        value=mean,
        unit="ratio",
        resolution=1 / count,
        interval=(max(0.0, mean - Z_95 * error), min(1.0, mean + Z_95 * error)),
        possible=(total / (count + unseen), (total + unseen) / (count + unseen)) if unseen else None,
        reason=f"{unseen} quality requests were not sent or not recorded." if unseen else None,
        evidence={
            "answers": count,
            "users": users,
            "p": settings.overlap_p,
            "by_region": _by(answers.region, values),
            "by_model": _by(answers.model, values),
            "in_the_baseline": _between_regions(baseline, lists, settings),
        },
    )


def _overlaps(answers: Listed, lists: Mapping[str, list[str]], settings: Settings) -> Floats:
    """The overlap of each answer with its user's own list in the baseline. [n]"""
    pairs, place = np.unique(np.stack([answers.user, answers.list_]), axis=1, return_inverse=True)
    found = [
        _shown_overlap(answers.lists[list_][: settings.quality_k], lists[answers.names[user]], settings.overlap_p)
        for user, list_ in pairs.T.tolist()
    ]
    return np.array(found, np.float64)[place]


def _shown_overlap(answer: Sequence[str], usual: Sequence[str], p: float) -> float:
    """The overlap of what users see: a rank that an answer leaves empty agrees with nothing.

    Extrapolating would take a list that breaks off after its first items for as good as the whole one.
    """
    ids = list(dict.fromkeys(answer))
    return rank_biased_overlap([*ids, *(f"\0{rank}" for rank in range(len(ids), len(usual)))], usual, p)


def _by(who: Coded, values: Floats) -> dict[str, float]:
    return {name: float(values[who.equals(name)].mean()) for name in who.counts()}


def _between_regions(
    baseline: Mapping[str, object], lists: Mapping[str, list[str]], settings: Settings
) -> dict[str, float]:
    """Mean overlap of the lists that the edge and each region gave the same users with nothing broken."""
    regions = baseline.get("regions")
    asked = {"edge": lists}
    if isinstance(regions, Mapping):
        asked |= {str(region): _lists(found, settings.quality_k) for region, found in regions.items()}
    return {
        f"{one}~{other}": sum(rank_biased_overlap(asked[one][u], asked[other][u], settings.overlap_p) for u in both)
        / len(both)
        for one, other in combinations(asked, 2)
        if (both := sorted(asked[one].keys() & asked[other].keys()))
    }


def _lists(found: object, k: int) -> dict[str, list[str]]:
    """User -> the first ``k`` ids of a list, from an event's data; what is no list is left out."""
    if not isinstance(found, Mapping):
        return {}
    return {str(user): [str(id_) for id_ in ids[:k]] for user, ids in found.items() if isinstance(ids, list) and ids}
