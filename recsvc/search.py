"""Query-aware search: BM25 over titles and genres, bent towards the user's taste.

Both scores are standardised over the items that match the query (mean 0, deviation 1), then added:
``bm25 + PERSONAL_WEIGHT * personal``. An item that shares no word with the query is never returned.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from recsvc.bundle import Item

PERSONAL_WEIGHT = 0.5
"""Half the say of the words: taste orders the films that match equally well, words decide otherwise."""
# bm25s logs each step of indexing at DEBUG, whatever the root logger says.
logging.getLogger("bm25s").setLevel(logging.WARNING)
_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """Return the text's words: lower case, accents and punctuation taken away."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _WORD.findall(plain.lower())


class SearchIndex:
    """An index over the catalogue; ``embeddings`` float32 [items + 1, d], row i + 1 is that of ``items[i]``."""

    def __init__(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        self._embeddings = embeddings
        self._bm25 = bm25s.BM25(method="lucene")
        documents = [words(" ".join((item.title, *item.genres, str(item.year or "")))) for item in items]
        self._bm25.index(documents, show_progress=False)

    def rank(
        self, query: str, user: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return catalogue indices (1 to N) and scores of the best ``k`` matches, best first; maybe fewer.

        ``user`` float32 [d] is the model's vector for the user.
        """
        matched = self._bm25.get_tokens_ids(words(query))
        if not matched:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
        relevance = self._bm25.get_scores_from_ids(matched)
        rows = np.flatnonzero(relevance > 0)
        personal = self._embeddings[rows + 1] @ user
        fused = _standardised(relevance[rows]) + PERSONAL_WEIGHT * _standardised(personal)
        # Ties are broken by the catalogue's order, so that equal requests get equal answers.
        best = np.lexsort((rows, -fused))[:k]
        return rows[best] + 1, fused[best]


def _standardised(values: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = values.astype(np.float64) - values.mean()
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 0 else centred)
