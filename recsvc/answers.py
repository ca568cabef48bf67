"""What clients get, as types: the OpenAPI document is made of them, and tests hold every answer against them.

The handlers write these as plain dicts: on the hot path a struct would be built only to be taken apart again.
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


class Ranked(Who, kw_only=True):
    """Items, best first, with the scores that put them into this order.

    ``cold``: nothing is known of the user. ``degraded_reason``: comma-separated, null where nothing is degraded.
    """

    items: list[str]
    scores: list[float]
    accelerator: str
    degraded: bool
    degraded_reason: str | None
    cold: bool


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
    """In how many bits the model's numbers are, on the device and on the CPU that stands in for it, and why."""

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
    accelerator_state: str
    accelerator_reason: str | None
    variant: Variant
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
