"""Cleaning: order, duplicates, impossible times, rare users and items. Everything it does is counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.bundle import Item
from recsvc.data.dataset import MIN_EVALUATED, Cleaning, DataError, Rules
from recsvc.data.interactions import Interactions

Codes = NDArray[np.int32]
Times = NDArray[np.int64]
Kept = NDArray[np.bool_]
Places = NDArray[np.int64]

CLOCKS_DIFFER_S = 86_400
"""How far behind now a time may lie: clocks and time zones differ."""


_KEY_BITS = 63


@dataclass(frozen=True)
class Cleaned:
    """Rows by user, each user's oldest first: user ``n`` has rows ``offsets[n]`` to ``offsets[n + 1]``.

    ``item`` int32 are catalogue indices, 1 to N; ``users`` are raw ids, in the order in which they first appear.
    """

    users: Sequence[str]
    items: tuple[Item, ...]
    offsets: Places
    item: Codes
    time_s: Times
    report: Cleaning


@dataclass
class _Rows:
    """The rows that are left, all three parallel."""

    user: Codes
    item: Codes
    time_s: Times

    def take(self, chosen: Kept | Places) -> None:
        self.user, self.item, self.time_s = self.user[chosen], self.item[chosen], self.time_s[chosen]


def clean(raw: Interactions, catalogue: Sequence[Item], rules: Rules, *, now_s: float | None = None) -> Cleaned:
    """Sort, clean and number; of repeated (user, item) pairs the earliest stays. Raises `DataError` if nothing does."""
    rows = _Rows(raw.user, raw.item, raw.time_s)
    latest = (time.time() if now_s is None else now_s) + CLOCKS_DIFFER_S
    future, ancient = rows.time_s > latest, rows.time_s < 0
    counts = {"future_dropped": int(future.sum()), "before_1970_dropped": int(ancient.sum())}
    if counts["future_dropped"] or counts["before_1970_dropped"]:
        rows.take(~(future | ancient))
    users = _renumber(rows, len(raw.user_ids))
    counts |= _sort(rows, raw.timed)
    counts["duplicates_dropped"] = _drop_duplicates(rows, len(raw.item_ids))
    rare = _drop_rare(rows, len(users), len(raw.item_ids), rules)
    if not len(rows.user):
        raise DataError(_nothing_left(raw, counts, rules))
    chosen = _used(rows.user, len(users))
    user_ids = [raw.user_ids[users[place]] for place in np.flatnonzero(chosen).tolist()]
    lengths = np.bincount(rows.user, minlength=len(users))[chosen]
    items, undescribed = _number_items(rows, raw.item_ids, catalogue, rules)
    report = Cleaning(
        interactions_read=raw.rows,
        items_without_description=undescribed,
        users=len(user_ids),
        users_not_evaluated=int((lengths < MIN_EVALUATED).sum()),
        items=len(items),
        interactions=len(rows.user),
        unreadable_dropped=raw.unreadable,
        unreadable_lines=raw.unreadable_lines,
        blank_lines=raw.blank_lines,
        items_without_interactions=len(items) - int(_used(rows.item, len(items) + 1).sum()),
        timed=raw.timed,
        first_s=int(rows.time_s.min()) if raw.timed else None,
        last_s=int(rows.time_s.max()) if raw.timed else None,
        headerless=raw.headerless,
        **counts,
        **rare,
    )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Cleaned(user_ids, items, offsets, rows.item, rows.time_s, report)


def _renumber(rows: _Rows, users: int) -> list[int]:
    """Number users by their first row that is left; returns what each was called before."""
    first = np.full(users, len(rows.user), dtype=np.int64)
    first[rows.user[::-1]] = np.arange(len(rows.user) - 1, -1, -1)
    order = np.argsort(first, kind="stable")[: int((first < len(rows.user)).sum())]
    table = np.full(users, -1, dtype=np.int32)
    table[order] = np.arange(len(order), dtype=np.int32)
    rows.user = table[rows.user]
    return [int(place) for place in order]


def _sort(rows: _Rows, timed: bool) -> dict[str, int]:
    """Sort by user and time, ties as in the file; returns how much was out of order and how many tied."""
    if not _ascending(rows.user):
        rows.take(_stable_order(rows.user.astype(np.int64)))
    if not timed:
        return {"out_of_order": 0, "ties": 0}
    same = rows.user[1:] == rows.user[:-1]
    out_of_order = int((same & (rows.time_s[1:] < rows.time_s[:-1])).sum())
    if out_of_order:
        # lexsort is stable: its last key counts first.
        rows.take(np.lexsort((rows.time_s, rows.user)))
    return {"out_of_order": out_of_order, "ties": int((same & (rows.time_s[1:] == rows.time_s[:-1])).sum())}


def _drop_duplicates(rows: _Rows, items: int) -> int:
    """Keep the first row of each (user, item) pair; returns how many went."""
    pairs = rows.user.astype(np.int64) * items + rows.item
    order = _stable_order(pairs)
    pairs = pairs[order]
    places = order[1:][pairs[1:] == pairs[:-1]]
    if len(places):
        kept = np.ones(len(pairs), dtype=np.bool_)
        kept[places] = False
        rows.take(kept)
    return len(places)


def _drop_rare(rows: _Rows, users: int, items: int, rules: Rules) -> dict[str, int]:
    """Leave out rare users and items until none is left (the k-core); returns what went."""
    before = (len(rows.user), int(_used(rows.user, users).sum()), int(_used(rows.item, items).sum()))
    while True:
        keep = np.bincount(rows.user, minlength=users)[rows.user] >= rules.min_user_interactions
        keep &= np.bincount(rows.item, minlength=items)[rows.item] >= rules.min_item_interactions
        if keep.all():
            break
        rows.take(keep)
    return {
        "rare_interactions_dropped": before[0] - len(rows.user),
        "rare_users_dropped": before[1] - int(_used(rows.user, users).sum()),
        "rare_items_dropped": before[2] - int(_used(rows.item, items).sum()),
    }


def _number_items(
    rows: _Rows, item_ids: Sequence[str], catalogue: Sequence[Item], rules: Rules
) -> tuple[tuple[Item, ...], int]:
    """Give rows their catalogue indices; returns the catalogue and how many of it nothing describes."""
    used = _used(rows.item, len(item_ids))
    needed = {item_ids[place] for place in np.flatnonzero(used).tolist()}
    items = [item for item in catalogue if item.id in needed or rules.min_item_interactions < 1]
    index_of = {item.id: index for index, item in enumerate(items, start=1)}
    described = len(items)
    table = np.zeros(len(item_ids), dtype=np.int32)
    for place in np.flatnonzero(used).tolist():
        name = item_ids[place]
        if name not in index_of:
            items.append(Item(name, name, None, ()))
            index_of[name] = len(items)
        table[place] = index_of[name]
    rows.item = table[rows.item]
    return tuple(items), len(items) - described


def _used(codes: Codes, size: int) -> Kept:
    used = np.zeros(size, dtype=np.bool_)
    used[codes] = True
    return used


def _stable_order(values: Times) -> Places:
    """The places of values, none negative, in ascending order, equal ones as they stand."""
    bits = max(1, len(values)).bit_length()
    if not len(values) or int(values.max()).bit_length() + bits > _KEY_BITS:
        return np.argsort(values, kind="stable")
    # A key of value and place: numpy sorts values with vector instructions, and places several times slower.
    keys = (values << bits) | np.arange(len(values))
    keys.sort()
    keys &= (1 << bits) - 1
    return keys


def _ascending(values: Codes) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _nothing_left(raw: Interactions, counts: dict[str, int], rules: Rules) -> str:
    if counts["future_dropped"] > raw.rows / 2:
        future = counts["future_dropped"]
        return f"of {raw.rows:,} interactions {future:,} lie in the future. Is the time column the right one?"
    if max(rules.min_user_interactions, rules.min_item_interactions) > 1:
        return (
            f"of {raw.rows:,} interactions none is left with at least {rules.min_user_interactions} a user and "
            f"{rules.min_item_interactions} an item. Lower --min-user-interactions or --min-item-interactions."
        )
    return f"none of {raw.rows:,} interactions can be used: {counts}. See --columns."
