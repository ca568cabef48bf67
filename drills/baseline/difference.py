"""Two baselines against each other: how the service itself has changed, with nothing broken."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from drills.baseline.conditions import differences, host_differences
from drills.baseline.document import Baseline, Steady
from drills.measures import Settings
from drills.measures.overlap import rank_biased_overlap


def difference(a: Baseline, b: Baseline) -> dict[str, Any]:
    """Measures with their ratio B / A, the overlap of lists by place (edge, each region), and what else differs.

    ``beyond_spread``: whether the slices of both recordings do not even overlap; None where one was not sliced.
    """
    places_a, places_b = {"edge": a.lists, **a.regions}, {"edge": b.lists, **b.regions}
    return {
        "a": a.id,
        "b": b.id,
        "measures": {
            name: _measure(a.measures.get(name), b.measures.get(name)) for name in {**a.measures, **b.measures}
        },
        "lists": {
            place: _overlap(places_a[place], places_b[place])
            for place in places_a
            if place in places_b and places_a[place].keys() & places_b[place].keys()
        },
        "conditions": differences(a.conditions, b.conditions),
        "host": host_differences(a.host, b.host),
        "versions": differences(a.versions, b.versions),
    }


def _measure(a: Steady | None, b: Steady | None) -> dict[str, Any]:
    return {
        "a": a.value if a else None,
        "b": b.value if b else None,
        "ratio": b.value / a.value if a and b and a.value else None,
        "beyond_spread": _apart(a, b),
    }


def _apart(a: Steady | None, b: Steady | None) -> bool | None:
    if a is None or b is None or a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return a.high < b.low or b.high < a.low


def _overlap(a: Mapping[str, list[str]], b: Mapping[str, list[str]]) -> dict[str, Any]:
    """Rank-biased overlap of the lists of each user that both have: mean, least, and the share of identical lists."""
    both = sorted(a.keys() & b.keys())
    found = {user: rank_biased_overlap(a[user], b[user], Settings().overlap_p) for user in both}
    least = min(found, key=found.__getitem__)
    return {
        "users": len(both),
        "only_in_one": len(a.keys() ^ b.keys()),
        "mean": mean(found.values()),
        "least": found[least],
        "least_user": least,
        "identical": sum(a[user] == b[user] for user in both) / len(both),
    }
