"""Queries as people might have typed them who were after one known item, made from the catalogue alone.

All but the last kind are ambiguous on purpose: many items match about equally well, so that words alone cannot put
the right one first. Nothing here looks at interactions, and nothing is drawn at random: the same user and item
always give the same queries.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from recsvc.bundle import Item
from recsvc.search.words import unspaced, words

CATEGORY, DECADE, WORD, BEGINNING, TYPO, TITLE = "category", "category, decade", "word", "beginning", "typo", "title"
AMBIGUOUS = (CATEGORY, DECADE, WORD, BEGINNING, TYPO)
KINDS = (*AMBIGUOUS, TITLE)
MIN_WORD, MIN_TYPO_WORD = 3, 5
COMMON = 0.05
"""A word in more titles than this share of the catalogue ("the") is none that people search for."""


@dataclass(frozen=True)
class Case:
    """``user`` (a row of the evaluated users) types ``query`` and is after the catalogue index ``target``."""

    user: int
    kind: str
    query: str
    target: int


def cases(items: Sequence[Item], users: Sequence[str], targets: Sequence[int]) -> list[Case]:
    """Every kind of query for every user's target; a kind is left out where the item has nothing to make it from."""
    shared = _shared_words(items)
    return [
        Case(row, kind, query, target)
        for row, (user, target) in enumerate(zip(users, targets, strict=True))
        for kind, query in _queries(items[target - 1], user, shared)
    ]


def _shared_words(items: Sequence[Item]) -> Mapping[str, int]:
    """Words that stand in the titles of several items, but not of very many."""
    counts = Counter(word for item in items for word in set(words(item.title)))
    most = max(2, COMMON * len(items))
    return {word: count for word, count in counts.items() if 2 <= count <= most}


def _queries(item: Item, user: str, shared: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    if item.genres:
        yield CATEGORY, " ".join(item.genres)
        if item.year:
            yield DECADE, f"{_pick(item.genres, user, item.id, DECADE)} {item.year // 10 * 10}s"
    candidates = [word for word in dict.fromkeys(words(item.title)) if word in shared and not word.isdigit()]
    candidates = [word for word in candidates if len(word) >= MIN_WORD or unspaced(word)]
    if candidates:
        word = _pick(candidates, user, item.id, WORD)
        yield WORD, word
        if len(word) > MIN_WORD:
            yield BEGINNING, word[: max(MIN_WORD, round(0.6 * len(word)))]
        if len(word) >= MIN_TYPO_WORD and not unspaced(word):
            yield TYPO, _with_a_slip(word, user, item.id)
    if words(item.title):
        yield TITLE, item.title


def _with_a_slip(word: str, *key: str) -> str:
    """The word with one letter missing, twice, or swapped with the next; the first letter is mostly right."""
    at = 1 + _number(word, *key, "place") % (len(word) - 2)
    slips = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    return _pick([slip for slip in slips if slip != word], word, *key, "slip")


def _pick(options: Sequence[str], *key: str) -> str:
    return options[_number(*key) % len(options)]


def _number(*key: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:8], "big")
