"""Takes secrets and user ids out of texts and documents.

A known value of 8 characters or more is found anywhere, in any case, and also as JSON, HTML, URLs, shells, base64 and
hex write it. A shorter one, of at least 4 characters, is found only where it stands by itself, and only if it holds
both letters and digits: "hunter2" is nobody's word, "true" and "primary" are.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from drills.privacy import looks
from drills.privacy.looks import HIDDEN

ANYWHERE = 8
SHORTEST = 4
SHORTEST_PERSON = 6
_TOKEN = re.compile(r"[^\s\"'<>(){}\[\],;:/?&=|\\]+")
_PLACE = re.compile(r"(?i)(?:primary|standby|witness|edge|local|external|lab)(?:[-/][a-z]*-?\d*)?")
SHORT = 200
"""Texts that come again and again, such as names, are no longer."""
_TURNS = 5
"""What is left after a replacement may, rarely, hold another secret."""


class Redactor:
    """Knows secret ``values`` and the ids of ``people``; ``guess``: also takes out what only looks like a secret."""

    def __init__(self, values: Iterable[str] = (), people: Iterable[str] = (), *, guess: bool = True) -> None:
        self.values = frozenset(value for value in values if findable(value))
        self.people = frozenset(one for one in people if _is_person(one))
        self._guess = guess
        self._short = lru_cache(maxsize=4096)(self._cleaned)

    def __call__(self, value: Any) -> Any:
        """A text or document with ``***`` for whatever is secret in it; anything else comes back as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self(key): self.under(key, inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return self._words(value)
        return value

    def under(self, key: Any, value: Any) -> Any:
        """The value under a key: ``token`` and the like tell by themselves that it is secret."""
        if self._guess and isinstance(key, str):
            if isinstance(value, str) and value and looks.is_secret_name(key) and not looks.is_template(value):
                return HIDDEN
            if isinstance(value, int | float) and value is not True and value and looks.holds_secret_number(key):
                return HIDDEN
        return self(value)

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._short(text) if len(text) <= SHORT else self._cleaned(text)

    def _cleaned(self, text: str) -> str:
        for _ in range(_TURNS):
            before = text
            if (known := self._known_in(text)) is not None:
                text = known.sub(HIDDEN, text)
            if self.people:
                text = self._without_people(text)
            if self._guess:
                text = looks.hidden(text)
            if text == before:
                break
        return text

    def _words(self, words: list[Any] | tuple[Any, ...]) -> list[Any]:
        """A list; what follows ``--token`` in a command is secret, what follows ``-u`` may hold a secret."""
        found: list[Any] = []
        for position, word in enumerate(words):
            flag = words[position - 1] if position else None
            if self._guess and isinstance(word, str) and isinstance(flag, str) and looks.is_secret_flag(flag):
                found.append(self._after(flag, word))
            else:
                found.append(self(word))
        return found

    def _after(self, flag: str, word: str) -> str:
        if flag in ("-H", "--header") or looks.is_template(word):
            name, colon, value = word.partition(":")
            secret = colon and looks.is_secret_name(name) and value.strip() and not looks.is_template(value)
            return f"{name}: {HIDDEN}" if secret else self.text(word)
        if flag in ("-u", "--user"):
            name, colon, _ = word.partition(":")
            return self.text(name) + (f":{HIDDEN}" if colon else "")
        return HIDDEN

    def _known_in(self, text: str) -> re.Pattern[str] | None:
        """What finds the known values that are in the text; None where none is: looking that up first is faster."""
        if not text.isascii():  # a letter may have other small and capital ones there
            return self._all_known
        lower = text.lower()
        return _either(pattern for plain, pattern in self._known if plain in lower)

    @cached_property
    def _known(self) -> list[tuple[str, str]]:
        """Each form of each value in small letters, with the pattern that finds it."""
        return [one for value in self.values for one in _forms(value)]

    @cached_property
    def _all_known(self) -> re.Pattern[str] | None:
        return _either(pattern for _, pattern in self._known)

    def _without_people(self, text: str) -> str:
        lower = text.lower()
        if len(lower) != len(text):  # of some letters there is no small one of the same length
            lower = text
        pieces, done = [], 0
        for found in _TOKEN.finditer(lower):
            if found.start() < done:
                continue
            end = self._person_at(lower, found.start(), found[0])
            if end is not None:
                pieces += [text[done : found.start()], HIDDEN]
                done = end
        return "".join([*pieces, text[done:]]) if pieces else text

    def _person_at(self, text: str, begin: int, token: str) -> int | None:
        """Where the user id ends that begins there; None where none does."""
        for first in {token, token.rstrip(".!-*_")}:
            for whole in self._by_first_token.get(first, ()):
                end = begin + len(whole)
                if text.startswith(whole, begin) and not text[end : end + 1].isalnum():
                    return end
        return None

    @cached_property
    def _by_first_token(self) -> dict[str, list[str]]:
        """User ids in small letters, as they are and percent-encoded, by what stands before their first mark."""
        found: dict[str, list[str]] = {}
        for one in self.people:
            for form in {one.lower(), quote(one, safe="").lower(), quote(one, safe="@").lower()}:
                if first := _TOKEN.search(form):
                    found.setdefault(form[: first.end()] if first.start() == 0 else first[0], []).append(form)
        return found


def _is_person(name: str) -> bool:
    return len(name) >= SHORTEST_PERSON and bool(name.strip("* \t")) and not _PLACE.fullmatch(name)


def findable(value: str) -> bool:
    """Whether a secret can be told from ordinary words where it stands in a text."""
    if len(value) < SHORTEST or not value.strip("* \t\r\n") or _PLACE.fullmatch(value):
        return False
    if len(value) >= ANYWHERE:
        return True
    return any(one.isdigit() for one in value) and any(one.isalpha() for one in value) and value.strip() == value


def _either(patterns: Iterable[str]) -> re.Pattern[str] | None:
    found = sorted(set(patterns), key=lambda pattern: (-len(pattern), pattern))
    return re.compile("|".join(found)) if found else None


def _forms(value: str) -> Iterator[tuple[str, str]]:
    """The value as it may have been written: in small letters, and as a pattern."""
    written = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    written |= {quote(value, safe=""), quote(value), quote_plus(value), shlex.quote(value), html.escape(value)}
    if len(value) < ANYWHERE:
        yield from ((form.lower(), rf"(?<![^\W_]){re.escape(form)}(?![^\W_])") for form in written)
        return
    raw = value.encode(errors="surrogatepass")
    yield from ((form.lower(), f"(?i:{re.escape(form)})") for form in {*written, raw.hex()})
    yield from ((form.lower(), re.escape(form)) for form in _in_base64(raw))


def _in_base64(raw: bytes) -> Iterator[str]:
    """What is the same wherever in a longer text ``raw`` stood before that was encoded."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6].decode()
        yield coded
        yield coded.replace("+", "-").replace("/", "_")
