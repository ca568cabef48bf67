"""How a query's word is understood: as it stands, in another form, as a beginning, or as a slip of the finger.

No stemmer: it would have to know the language, and catalogues mix them. Beginnings ("terminat") and the plural s
cover most of what one would do. A slip is one letter wrong, missing, too many, or two swapped, which is what most
misspellings are (80 % in Damerau, CACM 7(3), 1964); candidates are made from the word and looked up (Norvig,
"How to Write a Spelling Corrector", 2007), so they cost no memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from recsvc.search.words import unspaced

EXACT, FORM, PREFIX, TYPO = "exact", "form", "prefix", "typo"
WORTH = {EXACT: 1.0, FORM: 0.9, PREFIX: 0.5, TYPO: 0.5}
"""What a word counts that is understood so, where the same query word also stands in the catalogue as typed."""
MIN_PREFIX, MIN_TYPO, MAX_TYPO = 2, 4, 24
MIN_TYPO_PREFIX = 5
ALPHABET = 64
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class Sense:
    """Rows ``first`` to ``end`` (exclusive) of the vocabulary, and how the query's word leads to them."""

    how: str
    first: int
    end: int


class Vocabulary:
    """The catalogue's words, sorted, so that all with one beginning lie side by side."""

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms: Sequence[str] = sorted(terms)
        letters = Counter(letter for term in self.terms if not unspaced(term) for letter in term)
        self._alphabet = [letter for letter, _ in letters.most_common(ALPHABET)]

    def understand(self, word: str, *, typing: bool) -> list[Sense]:
        """Return the senses of a word, best first; none when nothing in the catalogue is near it.

        ``typing``: it is the query's last word and may not be complete yet.
        """
        senses = [Sense(EXACT, *found) for found in [self._exact(word)] if found]
        senses += [Sense(FORM, *found) for form in _forms(word) if (found := self._exact(form))]
        if typing or not senses:
            first, end = self._beginning_with(word)
            first += bool(senses) and senses[0].how == EXACT
            if first < end and (len(word) >= MIN_PREFIX or unspaced(word)):
                senses.append(Sense(PREFIX, first, end))
        return senses or self._slips(word, typing=typing)

    def _slips(self, word: str, *, typing: bool) -> list[Sense]:
        if not MIN_TYPO <= len(word) <= MAX_TYPO or unspaced(word) or word.isdigit():
            return []
        candidates = sorted(set(_one_slip_away(word, self._alphabet)))
        found = [Sense(TYPO, *exact) for candidate in candidates if (exact := self._exact(candidate))]
        if found or not typing or len(word) < MIN_TYPO_PREFIX:
            return found
        ranges = (self._beginning_with(candidate) for candidate in candidates if len(candidate) >= len(word))
        return [Sense(TYPO, first, end) for first, end in ranges if first < end]

    def has(self, word: str) -> bool:
        """Whether the word stands in the catalogue as it is."""
        return self._exact(word) is not None

    def _exact(self, word: str) -> tuple[int, int] | None:
        row = bisect_left(self.terms, word)
        return (row, row + 1) if row < len(self.terms) and self.terms[row] == word else None

    def _beginning_with(self, word: str) -> tuple[int, int]:
        first = bisect_left(self.terms, word)
        return first, bisect_left(self.terms, word + _LAST, lo=first)


def _forms(word: str) -> list[str]:
    """The word with and without the plural s of English, and of several other languages."""
    if len(word) < 3 or not word.isalpha():
        return []
    if word.endswith("ies"):
        return [word[:-1], word[:-3] + "y"]
    if word.endswith("s"):
        return [word[:-1]]
    return [word + "s", word[:-1] + "ies"] if word.endswith("y") else [word + "s"]


def _one_slip_away(word: str, alphabet: Sequence[str]) -> Iterator[str]:
    for at in range(len(word) + 1):
        before, after = word[:at], word[at:]
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in alphabet)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        yield from (before + letter + after for letter in alphabet)
