"""Query-aware search: BM25 over titles and genres, bent towards the user's taste.

    score = bm25 / (best bm25 of this query) + PERSONAL_WEIGHT * (user . item, standardised over the
    catalogue)

BM25 is held against the best match and not standardised over the matches: with two matches of nearly equal
worth, standardising would blow a difference in title length up to a whole deviation each way, and taste would
never decide. An item that shares no word with the query is never returned.
"""

from __future__ import annotations

import copy
import logging
import re
import unicodedata
from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from recsvc.bundle import Item

PERSONAL_WEIGHT = 0.1
"""Taste orders films that match about equally well; two deviations are worth a fifth of a full match."""
# bm25s logs each step of indexing at DEBUG, whatever the root logger says.
logging.getLogger("bm25s").setLevel(logging.WARNING)
_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """Return the text's words: lower case, accents and punctuation taken away."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _WORD.findall(plain.lower())


class SearchIndex:
    """An index over the catalogue; ``embeddings`` float32 [items + 1, d], row i + 1 of ``items[i]``."""

    def __init__(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        self._embeddings = embeddings
        self._bm25 = bm25s.BM25(method="lucene")
        documents = [words(" ".join((item.title, *item.genres, str(item.year or "")))) for item in items]
        self._bm25.index(documents, show_progress=False)

    def with_embeddings(self, embeddings: NDArray[np.float32]) -> SearchIndex:
        """The index over the same catalogue for another model's item vectors; the texts are not indexed again."""
        other = copy.copy(self)
        other._embeddings = embeddings
        return other

    def rank(self, query: str, user: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return catalogue indices (1 to N) and scores of the best ``k`` matches, best first; maybe fewer.

        ``user`` float32 [d] is the model's vector for the user.
        """
        matched = self._bm25.get_tokens_ids(words(query))
        if not matched:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
        relevance = self._bm25.get_scores_from_ids(matched)
        rows = np.flatnonzero(relevance > 0)
        # Not `@`: that would wake numpy's BLAS threads, which fight with onnxruntime's over the cores.
        personal = _standardised(np.einsum("id,d->i", self._embeddings[1:], user))
        fused = relevance[rows] / relevance.max(initial=1e-9) + PERSONAL_WEIGHT * personal[rows]
        # Ties are broken by the catalogue's order, so that equal requests get equal answers.
        best = np.lexsort((rows, -fused))[:k]
        return rows[best] + 1, fused[best]


def _standardised(values: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = values.astype(np.float64) - values.mean()
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 0 else centred)
