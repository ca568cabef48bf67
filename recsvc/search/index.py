"""Text relevance over titles, genres or categories, brands and years, fused with the user's taste.

    score = relevance / (best relevance of this query) + WHOLE_TITLE where the query is the item's whole title
            + PERSONAL_WEIGHT * (user . item, standardised over the catalogue)

Relevance is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) as bm25s computes it, summed
over the query's words. A word is matched by one or several of the catalogue's (see `recsvc.search.vocabulary`), which
then count as one word: it is as rare as they are together, and each item takes its best match. So "comed" ranks
comedies by how much comedy they are, not the one film with "comedown" first because that word is rarer.

Relevance is held against the best match and not standardised over the matches: with two matches of nearly equal
worth, standardising would blow a difference in title length up to a whole deviation each way, and taste would
never decide. An item that matches no word of the query is never returned.
"""

from __future__ import annotations

import copy
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bm25s
import numpy as np
from numpy.typing import NDArray

from recsvc.bundle import Item
from recsvc.search.taste import Taste
from recsvc.search.vocabulary import EXACT, WORTH, Sense, Vocabulary
from recsvc.search.words import words

PERSONAL_WEIGHT = 0.1
"""Two deviations of taste are worth a fifth of a full match.

Chosen on the validation items of MovieLens-100k (docs/recommender.md, section Search): from 0.05 to 0.3 the mean
reciprocal rank stays within 0.012 of the best, and below 0.2 people who type a whole title still get that title.
"""
K1, B = 0.2, 0.5
"""BM25's saturation and length normalisation, chosen with the weight. Titles are not prose: that a word comes twice, or
that a title is long, says little, and with the usual 1.5 and 0.75 such differences drown taste."""
WHOLE_TITLE = 0.5
"""Who types "Contact" mostly means that film and not "First Contact", however much it is to the user's taste."""
MAX_WORDS = 32
"""A query's further words are not looked at: 200 characters may be a hundred of them."""
LARGE = 20_000
QUICK = 2_000
"""Where no more occurrences than these are looked at, a query takes a tenth of a millisecond."""
SPARSE = 8
"""Where fewer than one item in so many can match, only those that can are looked at."""
# bm25s logs each step of indexing at DEBUG, whatever the root logger says.
logging.getLogger("bm25s").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Found:
    """The best matches: catalogue indices ``items`` int64 [n] (1 to N), fused ``scores`` float64 [n], best first.

    ``text`` float64 [n] is the part of each score that comes from the words; ``matches`` counts all that match.
    """

    items: NDArray[np.int64]
    scores: NDArray[np.float64]
    text: NDArray[np.float64]
    matches: int

    def first(self, n: int) -> Found:
        """The ``n`` best of these."""
        return Found(self.items[:n], self.scores[:n], self.text[:n], self.matches)


class SearchIndex:
    """An index over the catalogue; ``embeddings`` float32 [items + 1, d], row i + 1 of ``items[i]``."""

    def __init__(self, items: Sequence[Item], embeddings: NDArray[np.float32], *, k1: float = K1, b: float = B) -> None:
        documents = [words(_text(item)) for item in items]
        self.vocabulary = Vocabulary({word for document in documents for word in document})
        row_of = {term: row for row, term in enumerate(self.vocabulary.terms)}
        self._items = len(items)
        self._titles = np.array([_fingerprint(words(item.title)) for item in items], dtype=np.uint32)
        self._index([[row_of[word] for word in document] for document in documents], row_of, k1, b)
        self.taste = Taste(embeddings)

    @property
    def large(self) -> bool:
        """Whether a query may take milliseconds, which is too long for an event loop; see `quick`."""
        return self._items > LARGE

    def quick(self, query: str) -> bool:
        """Whether this one does not: its words stand in the catalogue as they are typed, in few items."""
        asked = words(query)[:MAX_WORDS]
        if not all(map(self.vocabulary.has, asked)):
            return False
        return sum(self._occurrences(sense) for senses in self.understand(query).values() for sense in senses) <= QUICK

    def with_embeddings(self, embeddings: NDArray[np.float32]) -> SearchIndex:
        """The index over the same catalogue for another model's item vectors; the texts are not indexed again."""
        other = copy.copy(self)
        other.taste = Taste(embeddings)
        return other

    def rank(self, query: str, user: NDArray[np.float32], k: int, *, personal_weight: float = PERSONAL_WEIGHT) -> Found:
        """Return the best ``k`` matches for ``user`` float32 [d], the model's vector; maybe fewer, maybe none."""
        items, text = self.matching(query)
        scores = text + personal_weight * self.taste.of(user, items) if personal_weight else text
        best = _best(items, scores, k)
        return Found(items[best], scores[best], text[best], len(items))

    def matching(self, query: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Every match in the catalogue's order: indices [n] (1 to N) and relevance [n], 1 for the best match.

        One whose whole title was typed has `WHOLE_TITLE` more.
        """
        understood = self.understand(query)
        rows = self._candidates(understood)
        relevance = self._sum(understood, rows)
        if rows is None:
            rows = np.flatnonzero(relevance > 0)
            relevance = relevance[rows]
        text = relevance.astype(np.float64)
        text /= text.max(initial=1e-9)
        text[self._titles[rows] == _fingerprint(words(query))] += WHOLE_TITLE
        return rows + 1, text

    def relevance(self, query: str) -> NDArray[np.float32]:
        """BM25 of every item for a query, float32 [items]; 0 where no word matches."""
        return self._sum(self.understand(query), None)

    def word_by_word(self, query: str, items: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """What each word of the query gives to catalogue indices ``items``: `Found.text` without `WHOLE_TITLE`."""
        each = {word: self._word(senses) for word, senses in self.understand(query).items()}
        best = max(1e-9, float(sum(each.values(), np.zeros(self._items, dtype=np.float32)).max(initial=0)))
        return {word: values[items - 1].astype(np.float64) / best for word, values in each.items()}

    def understand(self, query: str) -> Mapping[str, list[Sense]]:
        """The query's words, each once, and what of the catalogue's each stands for."""
        asked = words(query)[:MAX_WORDS]
        typing = asked[-1:] if not query[-1:].isspace() else []
        return {word: self.vocabulary.understand(word, typing=[word] == typing) for word in dict.fromkeys(asked)}

    def _index(self, documents: list[list[int]], row_of: dict[str, int], k1: float, b: float) -> None:
        """Keep for each word, in the vocabulary's order, the items it occurs in and how much of it each has."""
        terms = len(self.vocabulary.terms)
        if not terms:
            self._starts, self._found_in = np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32)
            self._weights = np.empty(0, dtype=np.float32)
            return
        bm25 = bm25s.BM25(method="lucene", k1=k1, b=b)
        bm25.index((documents, row_of), create_empty_token=False, show_progress=False)
        self._starts, self._found_in = bm25.scores["indptr"].astype(np.int64), bm25.scores["indices"]
        counts = np.diff(self._starts)
        rarity = np.repeat([self._rarity(count) for count in counts.tolist()], counts)
        # Without the rarity of the single word: it belongs to the query's word, which may be matched by several.
        self._weights = (bm25.scores["data"] / rarity).astype(np.float32)

    def _rarity(self, items: int) -> float:
        """Lucene's idf of a word that occurs in so many items."""
        return float(np.log1p((self._items - items + 0.5) / (items + 0.5)))

    def _candidates(self, understood: Mapping[str, list[Sense]]) -> NDArray[np.int64] | None:
        """Rows [n], rising, of all items that have one of the words; None where they may be a good part of all."""
        postings = [self._postings(sense) for senses in understood.values() for sense in senses]
        if SPARSE * sum(part.stop - part.start for part in postings) >= self._items:
            return None
        none = np.empty(0, dtype=np.int64)
        return np.unique(np.concatenate([none, *(self._found_in[part] for part in postings)]))

    def _sum(self, understood: Mapping[str, list[Sense]], rows: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Of all words, float32 [n] for ``rows`` [n], or for all items."""
        total = np.zeros(self._items if rows is None else len(rows), dtype=np.float32)
        for senses in understood.values():
            total += self._word(senses, rows)
        return total

    def _word(self, senses: Sequence[Sense], rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """What a word gives: float32 [n] for ``rows`` [n], which hold all items that have it, or for all items."""
        values = np.zeros(self._items if rows is None else len(rows), dtype=np.float32)
        exactly = [sense for sense in senses if sense.how == EXACT]
        rarity = self._rarity(min(self._items, sum(self._occurrences(sense) for sense in exactly or senses)))
        for sense in senses:
            postings = self._postings(sense)
            worth = rarity * (WORTH[sense.how] if exactly else 1.0)
            found = self._found_in[postings]
            at = found if rows is None else np.searchsorted(rows, found)
            np.maximum.at(values, at, np.float32(worth) * self._weights[postings])
        return values

    def _postings(self, sense: Sense) -> slice:
        return slice(int(self._starts[sense.first]), int(self._starts[sense.end]))

    def _occurrences(self, sense: Sense) -> int:
        return int(self._starts[sense.end] - self._starts[sense.first])


def _text(item: Item) -> str:
    year = f"{item.year} {item.year // 10 * 10}s" if item.year else ""
    return " ".join((item.title, *item.genres, item.brand or "", year))


def _fingerprint(title: Sequence[str]) -> int:
    """32 bits that are the same for titles of the same words in any order."""
    return zlib.crc32(" ".join(sorted(title)).encode())


def _best(items: NDArray[np.int64], scores: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Positions of the ``k`` highest scores. Ties go by the catalogue's order: equal requests get equal answers."""
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= least)
    else:
        kept = np.arange(len(scores))
    order = np.lexsort((items[kept], -scores[kept]))[:k]
    return kept[order]
