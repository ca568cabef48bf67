"""What clients get, as types: the OpenAPI document is made of them, and tests hold every answer against them.

`Ranked` is built by its handler, because a struct is encoded in half a dictionary's time; the others are written as
plain dicts, which is shorter.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]


class Who(msgspec.Struct, kw_only=True):
    """Who answered: region, node and the version of the model bundle (12 hexadecimal digits)."""

    region: str
    node: str
    model_version: str


class Contribution(msgspec.Struct):
    """What one of the user's past items gave to a score."""

    item: str
    title: str
    contribution: float


class QueryWord(msgspec.Struct):
    """What one word of the query gave to a score; ``understood`` as the catalogue's, none where nothing is near it."""

    word: str
    understood: list[Literal["exact", "form", "prefix", "typo"]]
    contribution: float


class Explanation(msgspec.Struct):
    """One item's score, divided twice; each division sums to it.

    Into what everybody gets (``base``), the user's past items, newest first, and all ``earlier`` ones together, and for
    a search ``text``, which is what the ``words`` gave and ``whole_title``; and into ``parts`` of the model.
    ``standard_error``: of the contributions, from sampling; 0 where they are exact.
    """

    item: str
    title: str
    score: float
    base: float
    history: list[Contribution]
    earlier: float
    standard_error: float
    parts: dict[Literal["collaborative", "content", "text"], float]
    text: float | msgspec.UnsetType = msgspec.UNSET
    words: list[QueryWord] | msgspec.UnsetType = msgspec.UNSET
    whole_title: float | msgspec.UnsetType = msgspec.UNSET


class ExplainedBy(msgspec.Struct):
    """How the explanations were found: of how many past items, by how many runs of the model."""

    method: Literal["exact", "sampled"]
    newest_items: Count
    earlier_items: Count
    model_runs: Count


class Ranked(Who, kw_only=True):
    """Items, best first, with the scores that put them into this order.

    ``cold``: nothing is known of the user. ``degraded_reason``: comma-separated, null where nothing is degraded.
    ``matches``: how many items match a query. ``explanations``, where they were asked for, one an item.
    """

    items: list[str]
    scores: list[float]
    accelerator: str
    degraded: bool
    degraded_reason: str | None
    cold: bool
    matches: int | msgspec.UnsetType = msgspec.UNSET
    explanations: list[Explanation] | msgspec.UnsetType = msgspec.UNSET
    explained_by: ExplainedBy | msgspec.UnsetType = msgspec.UNSET


class Stored(Who, kw_only=True):
    """An acknowledged event. ``copies``: how many stores have it; ``duplicate``: it had been stored before."""

    id: str
    acknowledged: Literal[True]
    copies: Annotated[int, msgspec.Meta(ge=1)]
    duplicate: bool


class LoggedEvent(msgspec.Struct):
    """An event as it stands in the log; users are not told. ``cursor``: where to go on after it."""

    id: str
    item: str
    cursor: str


class Page(Who, kw_only=True):
    """A page of the event log in stored order; ``next`` is the cursor of the following page, null after the last."""

    events: list[LoggedEvent]
    next: str | None


class Rollout(msgspec.Struct):
    """What became of the last model artifact that was to be rolled out; ``reason`` why it was refused."""

    artifact: str
    outcome: Literal["loading", "done", "refused"]
    reason: str | None


class Variant(msgspec.Struct):
    """In which precision the node's device and its CPU fallback compute, and why for people."""

    device: Literal["fp32", "fp16", "int8"]
    fallback: Literal["fp32", "fp16", "int8"]
    reason: str


class Model(Who, kw_only=True):
    """The manifest of the model bundle that serves; it has more members than these."""

    version: str
    format: int
    data_source: str
    synthetic: bool
    last_rollout: Rollout | None
    variant: Variant


class Live(Who, kw_only=True):
    """The process answers."""

    live: Literal[True]


class State(Who, kw_only=True):
    """The node's own view of itself; ``store_offset`` in bytes, ``timers`` (of /readyz alone) in seconds."""

    instance: str
    accelerator: str
    accelerator_wanted: str
    variant: Variant
    accelerator_state: str
    accelerator_reason: str | None
    accelerator_restarts: Count
    xids: dict[str, int]
    last_rollout: Rollout | None
    degraded: bool
    degraded_reason: str | None
    store_ready: bool
    store_role: str | None
    store_offset: int | None
    store_linked: bool | None
    seeded: bool
    replication: Literal["async", "semisync", "sync"]
    replicas: Count
    writable: bool
    write_verdict: Literal["refuse", "doubtful", "replicated", "alone"]
    write_reason: str
    copies_possible: Count
    timers: dict[str, float] | msgspec.UnsetType = msgspec.UNSET


class ProblemDocument(msgspec.Struct):
    """RFC 9457. ``type`` is ``urn:recsvc:problem:`` and the kind; some kinds have further members.

    ``stored`` (not-acknowledged, overloaded): whether the event is in the store all the same; null: not known.
    """

    type: str
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: str
    stored: bool | msgspec.UnsetType | None = msgspec.UNSET
