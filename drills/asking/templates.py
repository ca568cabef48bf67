"""Templates of requests: texts and JSON documents in which ``{user}``, ``{id}`` and a few other names stand for values.

``{{user}}`` stands for the text ``{user}`` itself. A JSON string that is exactly ``{n}`` or ``{k}`` becomes a number,
and so does ``{user:number}``, for services whose users or items are numbers.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from drills.errors import UsageError

NAMES = ("id", "user", "item", "n", "k", "query", "cursor", "prefix")
NUMBERS = ("n", "k")
Values = Mapping[str, str | int]
"""What the names stand for; ``cursor`` is missing on the first page of a listing."""

_PLACE = re.compile(r"\{\{(\w+)\}\}|\{(\w+)(:number)?\}")
_VARIABLE = re.compile(r"\$\{env:(\w+)\}")
_PATH_CHARACTERS = string.punctuation


def names_in(value: Any) -> set[str]:
    """The names (known or not) that stand in a text or anywhere in a JSON document."""
    return {found[2] for text in texts_in(value) for found in _PLACE.finditer(text) if found[2]}


def numbers_in(value: Any) -> set[str]:
    """The names that are written ``{name:number}``."""
    return {found[2] for text in texts_in(value) for found in _PLACE.finditer(text) if found[3]}


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a JSON document but its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def variables_in(headers: Mapping[str, str]) -> set[str]:
    """The environment variables that the headers take values from."""
    return {name for value in headers.values() for name in _VARIABLE.findall(value)}


def with_environment(headers: Mapping[str, str]) -> dict[str, str]:
    """``headers`` with every ``${env:NAME}`` replaced; raises UsageError for a variable that is not set."""
    return {name: _VARIABLE.sub(_variable, value) for name, value in headers.items()}


def _variable(found: re.Match[str]) -> str:
    value = os.environ.get(found[1])
    if value is None:
        raise UsageError(f"the environment variable {found[1]} is not set: a header of the service needs it")
    if not value.isprintable():
        # Not shown: it is a secret.
        raise UsageError(f"the environment variable {found[1]} holds a line break or control character: no header may")
    return value


def compile_text(text: str, encode: Callable[[str], str] = str, literal: Callable[[str], str] = str) -> Fill:
    """A function from values to ``text`` with its names replaced, each value put through ``encode``."""
    pieces: list[tuple[str, str | None]] = []
    position = 0
    for found in _PLACE.finditer(text):
        pieces.append((literal(text[position : found.start()]), None))
        name = found[2]
        pieces.append(("", name) if name in NAMES else (literal(found[0][1:-1] if found[1] else found[0]), None))
        position = found.end()
    pieces.append((literal(text[position:]), None))
    if all(name is None for _, name in pieces):
        whole = "".join(piece for piece, _ in pieces)
        return lambda values: whole
    return lambda values: "".join(
        piece if name is None else encode(str(values.get(name, ""))) for piece, name in pieces
    )


Fill = Callable[[Values], str]


def compile_path(path: str) -> Fill:
    """A function from values to the path, percent-encoded.

    A query parameter that is nothing but ``{cursor}`` is left out on the first page.
    """
    head, mark, query = path.partition("?")
    whole = _in_path(head)
    if not mark:
        return whole
    parameters = [(part.endswith("={cursor}"), _in_path(part)) for part in query.split("&")]

    def fill(values: Values) -> str:
        first = "cursor" not in values
        shown = "&".join(part(values) for is_cursor, part in parameters if not (first and is_cursor))
        return f"{whole(values)}?{shown}" if shown else whole(values)

    return fill


def _in_path(text: str) -> Fill:
    return compile_text(text, lambda value: quote(value, safe=""), lambda part: quote(part, safe=_PATH_CHARACTERS))


def compile_json(value: Any) -> Callable[[Values], Any]:
    """A function from values to the JSON document with its names replaced; keys that are ``{cursor}`` as in a path."""
    if isinstance(value, str):
        return _compile_string(value)
    if isinstance(value, Mapping):
        inner = {key: (item == "{cursor}", compile_json(item)) for key, item in value.items()}
        return lambda values: {
            key: fill(values) for key, (is_cursor, fill) in inner.items() if not is_cursor or "cursor" in values
        }
    if isinstance(value, list | tuple):
        items = [compile_json(item) for item in value]
        return lambda values: [fill(values) for fill in items]
    return lambda values: value


def _compile_string(text: str) -> Callable[[Values], Any]:
    found = _PLACE.fullmatch(text)
    name = found[2] if found else None
    if found and name in NAMES and (found[3] or name in NUMBERS):
        return lambda values: int(values[name])
    return compile_text(text)
