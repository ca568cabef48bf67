"""How a service is asked: what a request of each kind looks like, and how its answer is read.

recsvc is one such service (``RECSVC``); a drill file may describe any other. Nothing else in recdr knows a path, a body
or a header of the service under test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec

from drills.asking.jsonpaths import JsonPath
from drills.asking.templates import Values, compile_json, compile_path, compile_text, names_in, with_environment

MAX_BODY_BYTES = 8 * 1024 * 1024
"""A longer answer is not read to its end: it is ``oversize``."""
KEEP_ALIVE_S = 1.0
"""Idle connections are dropped after this, below the keep-alive of usual servers: no request shall meet one that its
server is just closing, for none is sent a second time."""
MAX_ID_CHARACTERS = 512
MAX_HEADER_CHARACTERS = 100
EMPTY, UNREADABLE, UNACKNOWLEDGED, OVERSIZE, HTTP = "empty", "unreadable", "unacknowledged", "oversize", "http"
_NOTHING = (None, False, 0, "")


class Unreadable(Exception):  # noqa: N818 - it says what an answer is, not what recdr did wrong
    """An answer does not hold what its path leads to; the text says why. ``key``: which setting led there."""

    def __init__(self, text: str, key: str = "") -> None:
        super().__init__(f"{key} {text}" if key else text)
        self.key = key

    def within(self, kind: str) -> str:
        """The text, with the key of the drill file where the request is of this kind."""
        return f"service.{kind}.{self}" if self.key else str(self)


class Headers(Protocol):
    """The headers of an answer, by name in any case."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True)
class Asked:
    """A request, ready to be sent; ``path`` is percent-encoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True)
class Ask:
    """One kind of request, as templates.

    ``path``, ``headers`` and strings in ``body`` may hold ``{id} {user} {item} {n} {k} {query} {cursor} {prefix}``;
    header values may hold ``${env:NAME}``, which is looked up only where the request is sent. The JSONPaths say what an
    answer must show; without ``acknowledged`` every 2xx acknowledges a write. ``first`` is the cursor of a listing's
    first page; without it the parameter is left out there.
    """

    path: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    ids: str | None = None
    scores: str | None = None
    acknowledged: str | None = None
    next: str | None = None
    first: str | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that stand in path, headers and body."""
        return frozenset(names_in([self.path, dict(self.headers), self.body]))

    @property
    def by_id(self) -> bool:
        """Whether a read_back looks events up one by one; else it lists them."""
        return "id" in self.names

    @property
    def shows_repeats(self) -> bool:
        """Whether a read_back can show that an event is stored more than once: only a list of ids can repeat one."""
        return not self.by_id or (self._ids is not None and not self._ids.singular)

    def render(self, **values: str | int) -> Asked:
        """The request for these values; raises UsageError where an environment variable is missing."""
        fill_path, fill_headers, fill_body = self._fills
        body = None if fill_body is None else msgspec.json.encode(fill_body(values))
        return Asked(self.method, fill_path(values), fill_headers(values), body)

    def listed(self, document: Any) -> list[str]:
        """The ids in a decoded answer; empty only if the list is there and empty. Raises Unreadable."""
        if self._ids is None:
            return []
        values = self._ids.listed(document)
        if not values:
            if self._ids.leads_to_nothing(document):
                return []
            raise Unreadable(f"{self.ids}: nothing is there", "ids")
        try:
            ids = [_id(value) for value in values]
        except ValueError as error:
            raise Unreadable(f"{self.ids}: {error}", "ids") from None
        if self._scores is not None:
            try:
                _check_scores(self._scores.listed(document), len(ids))
            except ValueError as error:
                raise Unreadable(f"{self.scores}: {error}", "scores") from None
        return ids

    def acknowledges(self, content: bytes) -> bool:
        """Whether the 2xx answer to a write says that it was stored."""
        if self._acknowledged is None:
            return True
        try:
            values = self._acknowledged.values(decoded(content))
        except Unreadable:
            return False
        # == takes 0 for False, as meant; lists and objects are something even when they are empty
        return bool(values) and not any(value in _NOTHING for value in values)

    def next_cursor(self, document: Any) -> str | None:
        """The cursor of the next page; None where this one is the last. Raises Unreadable."""
        values = [value for value in self._next.values(document) if value is not None] if self._next else []
        if not values:
            return None
        if len(values) > 1 or isinstance(values[0], bool) or not isinstance(values[0], str | int):
            raise Unreadable(f"{self.next}: {_shown(values[0])} is no cursor", "next")
        return str(values[0]) or None

    @cached_property
    def _fills(self) -> tuple[Any, Any, Any]:
        headers = with_environment(self.headers)
        if self.body is not None and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = "application/json"
        body = None if self.body is None else compile_json(self.body)
        return compile_path(self.path), _compile_headers(headers, self.headers), body

    @cached_property
    def _ids(self) -> JsonPath | None:
        return None if self.ids is None else JsonPath(self.ids)

    @cached_property
    def _scores(self) -> JsonPath | None:
        return None if self.scores is None else JsonPath(self.scores)

    @cached_property
    def _acknowledged(self) -> JsonPath | None:
        return None if self.acknowledged is None else JsonPath(self.acknowledged)

    @cached_property
    def _next(self) -> JsonPath | None:
        return None if self.next is None else JsonPath(self.next)


@dataclass(frozen=True)
class Seen:
    """What an answer shows. ``error`` None: it is right. ``items``: at most k ids, each once, of a right read.

    ``why``: what made a read ``unreadable``, with the key in the drill file that leads there.
    """

    error: str | None = None
    items: list[str] | None = None
    region: str | None = None
    node: str | None = None
    model_version: str | None = None
    degraded: bool | None = None
    why: str | None = None


@dataclass(frozen=True)
class Service:
    """A service under test: what it can be asked, None for what it lacks, and how it says who answered."""

    name: str
    read: Ask | None = None
    write: Ask | None = None
    read_back: Ask | None = None
    search: Ask | None = None
    region_header: str | None = None
    region_json: str | None = None
    region_names: Mapping[str, str] = field(default_factory=dict)
    """From what the service calls its regions to ``primary`` and ``standby``; other names stay as they are."""
    node_header: str | None = None
    model_header: str | None = None
    degraded_header: str | None = None

    def ask_of(self, op: str) -> Ask | None:
        """The request behind ``recommend``, ``search`` or ``event``."""
        return {"recommend": self.read, "search": self.search, "event": self.write}[op]

    def seen(self, op: str, status: int, headers: Headers, content: bytes | None, k: int) -> Seen:
        """Read an answer; ``content`` None: it was longer than ``MAX_BODY_BYTES``."""
        error, why = None, None
        items: list[str] | None = None
        if not 200 <= status < 300:
            error = HTTP
        elif content is None:
            error = OVERSIZE
        elif op == "event":
            error = None if self.write is None or self.write.acknowledges(content) else UNACKNOWLEDGED
        else:
            items, error, why = self._listed(op, content, k)
        degraded = _header(headers, self.degraded_header)
        return Seen(
            error=error,
            why=why,
            items=items,
            region=self.region_of(headers, content),
            node=_header(headers, self.node_header),
            model_version=_header(headers, self.model_header),
            degraded=None if degraded is None else degraded.lower() in ("1", "true", "yes"),
        )

    def region_of(self, headers: Headers, content: bytes | None) -> str | None:
        """The region that answered, at most 100 characters of its name; None where the answer does not say."""
        found = _header(headers, self.region_header)
        if found is None and self._region is not None and content:
            try:
                values = self._region.values(decoded(content))
            except Unreadable:
                values = []
            if len(values) == 1 and isinstance(values[0], str | int) and not isinstance(values[0], bool):
                found = str(values[0])[:MAX_HEADER_CHARACTERS] or None
        return found if found is None else self.region_names.get(found, found)

    def _listed(self, op: str, content: bytes, k: int) -> tuple[list[str] | None, str | None, str | None]:
        """The ids, what is wrong with them, and why."""
        ask = self.ask_of(op)
        if ask is None or ask.ids is None:
            return None, None, None
        if not content.strip():
            return None, EMPTY, None
        try:
            ids = ask.listed(decoded(content))
        except Unreadable as error:
            return None, UNREADABLE, error.within("search" if op == "search" else "read")
        # A search may well find nothing; a recommender that has nothing to say has failed.
        wrong = EMPTY if not ids and op == "recommend" else None
        return (None if wrong else list(dict.fromkeys(ids[:k]))), wrong, None

    @cached_property
    def _region(self) -> JsonPath | None:
        return None if self.region_json is None else JsonPath(self.region_json)


@dataclass(frozen=True)
class Door:
    """The way to one region past the traffic director; ``headers`` go with every request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


def decoded(content: bytes) -> Any:
    """An answer's JSON document; raises Unreadable for anything else, such as an error page in HTML."""
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:  # msgspec's and Unicode's errors are ValueErrors
        raise Unreadable(f"no JSON: {error}") from None


def _id(value: Any) -> str:
    """An id as text; services that count their items use whole numbers."""
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{_shown(value)} is no id")


def _shown(value: Any) -> str:
    """A value as it stands in the answer, at most 60 characters of it."""
    return msgspec.json.encode(value).decode()[:60]


def _check_scores(scores: list[Any], count: int) -> None:
    if len(scores) != count:
        raise ValueError(f"{len(scores)} scores for {count} ids")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise ValueError(f"{_shown(score)} is no score")


def _header(headers: Headers, name: str | None) -> str | None:
    value = None if name is None else headers.get(name)
    return None if value is None else value[:MAX_HEADER_CHARACTERS]


def _compile_headers(headers: Mapping[str, str], written: Mapping[str, str]) -> Any:
    """Names are replaced in headers as written, never in what came from the environment."""
    fills = {name: compile_text(value) for name, value in headers.items() if names_in(written.get(name, ""))}
    if not fills:
        return lambda values: headers

    def fill(values: Values) -> dict[str, str]:
        return {name: fills[name](values) if name in fills else value for name, value in headers.items()}

    return fill


RECSVC = Service(
    name="recsvc",
    read=Ask("/v1/recommend", body={"user": "{user}", "k": "{k}"}, ids="$.items"),
    write=Ask("/v1/events", body={"id": "{id}", "user": "{user}", "item": "{item}"}),
    read_back=Ask("/v1/events?after={cursor}&limit=1000", method="GET", ids="$.events[*].id", next="$.next", first="0"),
    search=Ask("/v1/search", body={"user": "{user}", "query": "{query}", "k": "{k}"}, ids="$.items"),
    region_header="X-Recsvc-Region",
    node_header="X-Recsvc-Node",
    model_header="X-Recsvc-Model",
    degraded_header="X-Recsvc-Degraded",
)
"""The built-in adapter."""
