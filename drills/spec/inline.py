"""Secrets that stand in a drill file itself: allowed, never recorded, and better kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drills.privacy import Redactor
from drills.privacy.finding import FROM_ELSEWHERE
from drills.spec.document import Document, Where, read

_GUESS = Redactor()


def inline_secrets(path: Path) -> list[str]:
    """A warning, with its remedy, for each secret that is written into the drill file; raises SpecError."""
    doc = read(path)
    lines: dict[int, str] = {}
    for where in _places(doc.data, ()):
        lines.setdefault(doc.line(where), _warning(doc, where))
    return list(lines.values())


def _warning(doc: Document, where: Where) -> str:
    if where[0] == "secrets":
        remedy = "Write {type: env, key: NAME}, and set NAME before recdr."
    elif "headers" in where:
        remedy = "Write ${env:NAME}, and set NAME before recdr."
    else:
        remedy = "Have the command or action take it from the environment, which it inherits."
    return f"{doc.path}:{doc.line(where)}: {doc.dotted(where)}: a secret stands in the drill file. {remedy}"


def _places(value: Any, where: Where) -> Iterator[Where]:
    """Where secrets stand."""
    if isinstance(value, dict):
        if where[:1] == ("secrets",) and value.get("type") in FROM_ELSEWHERE:
            return
        for key, inner in value.items():
            yield from _places(inner, (*where, key))
    elif isinstance(value, list):
        told = _GUESS(value)
        for position, inner in enumerate(value):
            if isinstance(inner, str) and told[position] != inner:
                yield (*where, position)
            else:
                yield from _places(inner, (*where, position))
    elif value is not None and where and (where[0] == "secrets" or _GUESS.under(where[-1], value) != value):
        yield where
