"""What a trace is made of, before any wire format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

Value = str | bool | int | float | tuple[str, ...]
Attributes = dict[str, Value]


class NoWallTimeError(ValueError):
    """The run does not say when it was, so no span can have a time."""


@dataclass(frozen=True)
class Moment:
    """Something that happened within a span, ``at_ns`` nanoseconds after 1970."""

    name: str
    at_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """``id`` and ``parent`` are 16 hexadecimal digits; ``parent`` is empty for the run's own span.

    Times are nanoseconds after 1970. ``ok`` None: nothing is said about it; False: ``problem`` says what was wrong.
    """

    id: str
    parent: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    moments: tuple[Moment, ...] = ()
    ok: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Trace:
    """``id`` is 32 hexadecimal digits; of the ``spans`` each comes after its parent."""

    id: str
    resource: Attributes
    version: str
    spans: tuple[Span, ...]


def trace_id(run: str) -> str:
    return hashlib.sha256(f"recdr trace of {run}".encode()).hexdigest()[:32]


def span_id(trace: str, path: str) -> str:
    """The id of the span at ``path`` (such as ``trial 1/phase promoted``) of a trace."""
    return hashlib.sha256(f"{trace}/{path}".encode()).hexdigest()[:16]


def known(**attributes: object) -> Attributes:
    """The attributes that have a value; ``__`` in a name stands for a dot."""
    found: Attributes = {}
    for name, value in attributes.items():
        key = name.replace("__", ".")
        if isinstance(value, str | bool | int | float) and value != "":
            found[key] = value
        elif isinstance(value, list | tuple) and value:
            found[key] = tuple(str(one) for one in value)
    return found
