"""Interactions with a structure that is known, for machines that can reach no real data, and for tests.

Items lie on rings, one ring a genre. A user favours two or three genres; with probability `FOLLOW` the next
item is one of the next three on the ring of the last item, else a popular one of a favoured genre. So the
order carries information that popularity has not, and a sequential model must beat popularity clearly.
"""

from __future__ import annotations

import numpy as np

from recsvc.bundle import Item
from recsvc.movielens import Tables

FOLLOW = 0.65
GENRES = (
    "Comedy", "Drama", "Thriller", "Western", "Musical", "Mystery",
    "Romance", "Horror", "Fantasy", "Documentary", "Adventure", "Animation",
)  # fmt: skip
_FIRST = (
    "Amber",
    "Silent",
    "Crimson",
    "Hidden",
    "Golden",
    "Broken",
    "Distant",
    "Electric",
    "Frozen",
    "Paper",
)
_SECOND = (
    "Harbour",
    "Comet",
    "Garden",
    "Mirror",
    "Engine",
    "River",
    "Lantern",
    "Orchard",
    "Signal",
    "Winter",
)
_START_S = 1_000_000_000


def make(*, users: int = 600, items_per_genre: int = 40, events: int = 60, seed: int = 20260101) -> Tables:
    """Return the tables; the same arguments always give the same bytes.

    ``events`` is the mean number of interactions a user has; every user has at least 6 and no item twice.
    """
    rng = np.random.default_rng(seed)
    catalogue = len(GENRES) * items_per_genre
    events = min(events, catalogue // 4)
    rows: list[tuple[int, str]] = []
    for user in range(1, users + 1):
        length = int(np.clip(rng.poisson(events), 6, catalogue // 3))
        start_s = _START_S + int(rng.integers(0, 30_000_000))
        for step, item in enumerate(_walk(rng, length, items_per_genre)):
            rows.append((start_s + 60 * step, f"{user}\t{item + 1}\t1\t{start_s + 60 * step}\n"))
    rows.sort(key=lambda row: row[0])
    return Tables(
        "".join(line for _, line in rows).encode(), tuple(_item(i, items_per_genre) for i in range(catalogue))
    )


def _walk(rng: np.random.Generator, length: int, ring: int) -> list[int]:
    favoured = rng.choice(len(GENRES), size=int(rng.integers(2, 4)), replace=False)
    weights = 1.0 / np.arange(1, ring + 1)
    weights /= weights.sum()
    taken: set[int] = set()
    last = -1
    path: list[int] = []
    while len(path) < length:
        chosen = _follow(rng, last, ring, taken) if last >= 0 and rng.random() < FOLLOW else None
        if chosen is None:
            chosen = int(rng.choice(favoured)) * ring + int(rng.choice(ring, p=weights))
        if chosen in taken:
            # A favoured genre may be used up; any other item keeps the walk finite.
            chosen = int(rng.integers(0, len(GENRES) * ring))
        if chosen in taken:
            continue
        taken.add(chosen)
        path.append(chosen)
        last = chosen
    return path


def _follow(rng: np.random.Generator, last: int, ring: int, taken: set[int]) -> int | None:
    genre, place = divmod(last, ring)
    following = [genre * ring + (place + step) % ring for step in (1, 2, 3)]
    free = [item for item in following if item not in taken]
    return int(rng.choice(free)) if free else None


def _item(index: int, ring: int) -> Item:
    genre, place = divmod(index, ring)
    title = f"{_FIRST[(index * 7 + genre) % len(_FIRST)]} {_SECOND[(index // 3) % len(_SECOND)]} {index + 1}"
    return Item(
        str(index + 1),
        title,
        1960 + (index * 13) % 60,
        (GENRES[genre], GENRES[(genre + place) % len(GENRES)])[: 1 + place % 2],
    )
