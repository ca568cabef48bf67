"""What counts as a word, in catalogues and in queries alike, whatever the language.

Case, accents and apostrophes are taken away: "Amélie" and "amelie", "Schindler's" and "schindlers" are one word.
Scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are cut into overlapping
pairs of characters, as Lucene's CJK analyser does, so that any two characters of a title find it.
"""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = "'’ʼ`´"
_PLAIN = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
"""Letters that people without them on the keyboard type otherwise, and that Unicode does not take apart."""
_DROPPED_MARKS = ((0x0300, 0x036F), (0x0591, 0x05C7), (0x0640, 0x0640), (0x064B, 0x065F), (0x0670, 0x0670))
"""Accents; Hebrew points and Arabic vowel signs, which titles and queries mostly leave out. Others need theirs."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


class _Letters(dict[int, str]):
    """A table for `str.translate` that fills itself: a letter, mark or digit stays, all else parts words."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if letter in _APOSTROPHES or any(first <= code <= last for first, last in _DROPPED_MARKS):
            kept = ""
        elif unicodedata.category(letter)[0] in "LMN":
            kept = _PLAIN.get(letter, letter)
        else:
            kept = " "
        self[code] = kept
        return kept


_LETTERS = _Letters()


def words(text: str) -> list[str]:
    """Return the text's words in order, each in the one form under which it is indexed."""
    apart = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    found: list[str] = []
    for word in unicodedata.normalize("NFKC", apart).split():
        if word.isascii() or not _UNSPACED.search(word):
            found.append(word)
        else:
            found.extend(_pieces(word))
    return found


def unspaced(word: str) -> bool:
    """Whether the word is of a script without spaces, where one character already says much."""
    return _UNSPACED.match(word) is not None


def _pieces(word: str) -> list[str]:
    pieces: list[str] = []
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            pieces.append(word[at : run.start()])
        characters = run.group()
        pieces.extend([characters[i : i + 2] for i in range(len(characters) - 1)] or [characters])
        at = run.end()
    return [*pieces, word[at:]] if at < len(word) else pieces
