"""What an explained answer says of each item: the score in past items, and the same score in parts of the model.

Each division sums to the score as it stands in the answer, to the last of its six digits: what rounding leaves over
(and what a compressed variant of the model adds, 1e-3 or so) goes to ``base`` and to ``collaborative``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsvc.bundle import Bundle
from recsvc.explain import Shares
from recsvc.release import Release
from recsvc.search import PERSONAL_WEIGHT, Found
from recsvc.search.taste import evenly_spaced

DECIMALS = 1e6
Vector = NDArray[np.float32]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Recommended:
    """Recommended catalogue indices ``items`` with their ``scores``, for a model's vector ``user`` [d]."""

    release: Release
    user: Vector
    items: NDArray[np.int64]
    scores: NDArray[Any]

    def worth(self, user: Vector) -> Scores:
        """The items' scores for another vector."""
        rows = self.release.search.taste.embeddings[self.items]
        return np.asarray(np.einsum("id,d->i", rows.astype(np.float64), user.astype(np.float64)))

    def document(self, shares: Shares) -> dict[str, Any]:
        """The explanations, in the items' order, and how they were found."""
        content = _content(self.release.bundle)[self.items].astype(np.float64)
        contents = np.einsum("id,d->i", content, self.user.astype(np.float64))
        explained = [
            _by_history(self.release, shares, at, item, score, without_history=0.0)
            | {"parts": _parts(score, {"content": part})}
            for at, (item, score, part) in enumerate(_rows(self.items, self.scores, contents))
        ]
        return {"explanations": explained, "explained_by": _how(shares)}


@dataclass(frozen=True)
class Searched:
    """What a query found for a model's vector ``user`` [d]."""

    release: Release
    user: Vector
    query: str
    found: Found

    def worth(self, user: Vector) -> Scores:
        """The personal part of the scores for another vector."""
        return PERSONAL_WEIGHT * self.release.search.taste.of(user, self.found.items)

    def document(self, shares: Shares) -> dict[str, Any]:
        """As `Recommended.document`, and what each word of the query gave."""
        found, contents = self.found, self._contents()
        words = self._words()
        explained = []
        for at, (item, score, text, part) in enumerate(_rows(found.items, found.scores, found.text, contents)):
            entry = _by_history(self.release, shares, at, item, score, without_history=text)
            spoken = [{**word, "contribution": _rounded(values[at])} for word, values in words]
            title = _rounded(text - sum(word["contribution"] for word in spoken))
            parts = _parts(score, {"text": text, "content": part})
            explained.append(entry | {"text": _rounded(text), "words": spoken, "whole_title": title, "parts": parts})
        return {"explanations": explained, "explained_by": _how(shares)}

    def _contents(self) -> Scores:
        content = _content(self.release.bundle)
        exact = self.user.astype(np.float64)
        _, deviation = self.release.search.taste.scale(self.user)
        above_mean = content[self.found.items].astype(np.float64) - evenly_spaced(content).mean(axis=0)
        return np.asarray(PERSONAL_WEIGHT * np.einsum("id,d->i", above_mean, exact) / deviation)

    def _words(self) -> list[tuple[dict[str, Any], Scores]]:
        """Each word of the query with how it was understood, and what it gave to each item found."""
        search = self.release.search
        senses = search.understand(self.query)
        given = search.word_by_word(self.query, self.found.items)
        return [
            ({"word": word, "understood": list(dict.fromkeys(sense.how for sense in senses[word]))}, values)
            for word, values in given.items()
        ]


def _by_history(
    release: Release, shares: Shares, at: int, item: int, score: float, *, without_history: float
) -> dict[str, Any]:
    """One item's score: ``base``, each past item newest first, all ``earlier`` ones; ``text`` is not among them."""
    catalogue, given = release.bundle.items, [_rounded(value) for value in shares.contributions[:, at]]
    grouped = 1 if shares.game.earlier else 0
    history = [
        {"item": catalogue[past - 1].id, "title": catalogue[past - 1].title, "contribution": contribution}
        for (past,), contribution in zip(shares.game.players[grouped:], given[grouped:], strict=True)
    ]
    return {
        "item": catalogue[item - 1].id,
        "title": catalogue[item - 1].title,
        "score": _rounded(score),
        "base": _rounded(_rounded(score) - _rounded(without_history) - sum(given)),
        "history": history[::-1],
        "earlier": float(sum(given[:grouped])),
        "standard_error": _rounded(shares.errors[at]),
    }


def _parts(score: float, known: dict[str, float]) -> dict[str, float]:
    parts = {name: _rounded(value) for name, value in known.items()}
    return {**parts, "collaborative": _rounded(_rounded(score) - sum(parts.values()))}


def _how(shares: Shares) -> dict[str, Any]:
    return {
        "method": "exact" if shares.exact else "sampled",
        "newest_items": len(shares.game.players) - bool(shares.game.earlier),
        "earlier_items": shares.game.earlier,
        "model_runs": shares.runs,
    }


def _content(bundle: Bundle) -> Vector:
    """float32 [items + 1, d], what of each item vector comes from its description; rows are read as they are used."""
    content: Vector = np.load(bundle.content_path, mmap_mode="r")
    return content


def _rows(items: NDArray[np.int64], *columns: NDArray[Any]) -> list[tuple[Any, ...]]:
    return list(zip(items.tolist(), *(column.astype(np.float64).tolist() for column in columns), strict=True))


def _rounded(value: float) -> float:
    # As the answer's scores are rounded: `round(value, 6)` may end on another digit.
    return round(float(value) * DECIMALS) / DECIMALS
