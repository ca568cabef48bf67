"""What clients send, checked while it is decoded, and the only place that turns bad input into problems."""

from __future__ import annotations

from typing import Annotated, TypeVar
from urllib.parse import parse_qs

import msgspec

from recsvc.problems import Problem
from recsvc.state import CURSOR

MAX_K = 200
MAX_EXPLAINED = 20
MAX_PAGE = 5000
DEFAULT_PAGE = 1000

UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
ItemId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
EventId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._:-]{1,64}\Z")]
QueryText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
HowMany = Annotated[int, msgspec.Meta(ge=1, le=MAX_K)]


class RecommendRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/recommend: the ``k`` best items for a user; ``explain`` asks how the first 20 scores come about."""

    user: UserId
    k: HowMany = 20
    explain: bool = False


class SearchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/search: the ``k`` best matches of a query for a user; ``explain`` as above."""

    user: UserId
    query: QueryText
    k: HowMany = 20
    explain: bool = False


class EventRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/events: a user did something with an item; ``id`` makes retries harmless."""

    id: EventId
    user: UserId
    item: ItemId


class FailRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /accelerator/fail on the admin socket."""

    layer: str


class SlowRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /accelerator/slow on the admin socket."""

    delay_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)]


class LoadRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /model/load on the admin socket: the folder of a bundle."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


T = TypeVar("T")


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def decode(body: bytes, using: msgspec.json.Decoder[T]) -> T:
    """Return the decoded request; raises a 400 for what is not JSON and a 422 for what does not fit."""
    try:
        return using.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "not-json", f"{error}.") from None


def page_of_log(query: bytes) -> tuple[str | None, int]:
    """Return the cursor (None: from the start) and the page size of GET /v1/events; raises a 422."""
    fields = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    unknown = set(fields) - {"after", "limit"}
    if unknown:
        raise Problem(422, "invalid", f"Unknown parameter {min(unknown)[:64]!r}; known are after and limit.")
    after, limit = fields.get("after", [""])[-1], fields.get("limit", [str(DEFAULT_PAGE)])[-1]
    if after and not CURSOR.fullmatch(after):
        raise Problem(422, "invalid", "after is not a cursor of this log.")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_PAGE):
        raise Problem(422, "invalid", f"limit is a whole number from 1 to {MAX_PAGE}.")
    return after or None, int(limit)
