"""What lists are like beyond being right: how much of the catalogue they show, and how well known it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.evaluation.bootstrap import Figure
from recsvc.evaluation.figures import Indices, Values

Lists = NDArray[np.int32]


@dataclass(frozen=True)
class Crowd:
    """How well known items are: ``counts`` float32 ``[items + 1]`` of training interactions, of ``users`` users."""

    counts: Values
    users: int

    @property
    def information_bits(self) -> Values:
        """-log2 of the share of users who know an item: float32 ``[items + 1]``, 0 at padding.

        Self-information as novelty is from Zhou et al. (2010, doi 10.1073/pnas.1000488107) and Vargas and
        Castells (2011, doi 10.1145/2043932.2043955). One user is added to each, since nobody knows a new item.
        """
        bits: Values = -np.log2((self.counts + 1) / np.float32(self.users + 1))
        bits[0] = 0.0
        return bits


def coverage(lists: Lists, items: int) -> float:
    """Share of the catalogue that at least one user's list shows.

    It has no interval: drawing users again leaves some out, which only ever takes items away.
    """
    shown = np.unique(lists)
    return float(np.count_nonzero(shown) / items)


def about_lists(lists: Lists, seen: Sequence[Indices], crowd: Crowd) -> dict[str, Figure]:
    """Figures of lists int32 ``[users, k]``: novelty, popularity, and popularity against the users' own taste.

    ``novelty_bits``: mean self-information. ``average_popularity``: mean share of users who know what is shown
    (ARP, Yin et al. 2012). ``popularity_ratio``: that over the same of the users' own histories; above 1 a
    model pushes people to what is popular (popularity lift, Abdollahpouri et al. 2020, doi
    10.1145/3383313.3418487, plus 1). Users without a history have no say in it.
    """
    share = crowd.counts / np.float32(max(1, crowd.users))
    known = np.array([share[items].mean() if len(items) else 0.0 for items in seen], dtype=np.float32)
    shown = _mean(share, lists)
    return {
        "novelty_bits": Figure(_mean(crowd.information_bits, lists)),
        "average_popularity": Figure(shown),
        "popularity_ratio": Figure(np.where(known > 0, shown, 0).astype(np.float32), known),
    }


def _mean(values: Values, lists: Lists) -> Values:
    """Each list's mean of values ``[items + 1]``, of which padding, where a list is short, has none."""
    filled = np.maximum(1, np.count_nonzero(lists, axis=1))
    found = values[lists]
    found[lists == 0] = 0
    means: Values = (found.sum(axis=1) / filled).astype(np.float32)
    return means
