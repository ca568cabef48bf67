"""What this process knows to be secret: its environment's, its drills', and what the run it belongs to has noted.

One for the whole process, since whatever writes something down must ask it, wherever it is: what an exception's text
holds is known to nobody.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from drills.privacy import finding
from drills.privacy.looks import HIDDEN
from drills.privacy.redactor import Redactor, findable

__all__ = ["HIDDEN", "learn", "learn_drill", "people", "redacted", "redacted_name", "values"]

VARIABLE = "RECDR_PRIVATE"
"""Where the run's vault lies, for the processes of the run."""
VALUES, PEOPLE = "values.jsonl", "people.json"
T = TypeVar("T")


@dataclass
class _Known:
    values: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    drills: list[Mapping[str, Any]] = field(default_factory=list)
    """Those that nobody has looked into yet: most commands write nothing down."""
    shared: tuple[str, int] = ("", 0)
    """The vault that was read last, and how much of it."""
    environment: int = 0
    redactor: Redactor | None = None


_KNOWN = _Known()
_LOCK = threading.Lock()


def learn(values: Iterable[str] = (), people: Iterable[str] = ()) -> None:
    """These must not be written down from now on; other processes of the run are told where they can be."""
    new = {value for value in values if findable(value)} - _KNOWN.values
    with _LOCK:
        _KNOWN.people.update(people)
        _KNOWN.values |= new
        _KNOWN.redactor = None
    if new and (folder := os.environ.get(VARIABLE)) and (path := Path(folder) / VALUES).exists():
        with path.open("a") as file:
            file.write(json.dumps(sorted(new)) + "\n")


def learn_drill(experiment: Mapping[str, Any]) -> None:
    """What the drill calls a secret must not be written down from now on."""
    with _LOCK:
        _KNOWN.drills.append(experiment)
        _KNOWN.redactor = None


def values() -> frozenset[str]:
    """The secret values known by now."""
    return _redactor().values


def people() -> frozenset[str]:
    """The user ids known by now."""
    return _redactor().people


def redacted(value: T) -> T:
    """The text or document without secrets and user ids; see ``Redactor``."""
    found: T = _redactor()(value)
    return found


def redacted_name(name: str | None) -> str | None:
    """A short text that comes again and again, such as the name of a node."""
    return name if name is None else _redacted_name(name, _redactor())


@lru_cache(maxsize=1024)
def _redacted_name(name: str, redactor: Redactor) -> str:
    return redactor.text(name)


def _redactor() -> Redactor:
    with _LOCK:
        _read_shared()
        _look_into_drills()
        if _KNOWN.redactor is None:
            _KNOWN.redactor = Redactor(_KNOWN.values, _KNOWN.people)
        return _KNOWN.redactor


def _look_into_drills() -> None:
    environment = hash(frozenset(os.environ.items()))
    if environment != _KNOWN.environment:
        _KNOWN.environment = environment
        _add(finding.in_environment(os.environ))
    while _KNOWN.drills:
        _add(finding.in_drill(_KNOWN.drills.pop(), os.environ))


def _read_shared() -> None:
    """What the run's other processes know, as far as it is new."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    path = Path(folder) / VALUES
    try:
        size = path.stat().st_size
        if _KNOWN.shared == (folder, size):
            return
        _KNOWN.shared = (folder, size)
        for line in path.read_text(errors="surrogatepass").splitlines():
            _add(json.loads(line))
        _KNOWN.people.update(json.loads((Path(folder) / PEOPLE).read_text(errors="surrogatepass")))
    except (OSError, ValueError):
        return
    _KNOWN.redactor = None


def _add(found: Iterable[str]) -> None:
    new = {value for value in found if findable(value)} - _KNOWN.values
    if new:
        _KNOWN.values |= new
        _KNOWN.redactor = None
