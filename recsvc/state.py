"""What the region's store holds, and how it is read and written.

    i:<pseudonym>   string  catalogue indices of the user's items, newest last, four bytes each; the newest 500 count
    log             stream  every event once, in stored order: {id, item}
    e:<event id>    string  what the id stands for, kept a day: makes a retry store nothing
    seeded:2        string  version of the model bundle whose histories were loaded into keys of this form

Histories are one string each and no list: reading one of fifty items from a list took about a fifth of what a whole
recommendation cost beside its model.

Reading is over the local store whatever its role; writing is in `recsvc.writer`.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from recsvc.resp import Command, Link, ReplyError, StoreUnavailable

HISTORY_LIMIT = 500
INDEX_BYTES = 4
EVENT_ID_TTL_S = 86_400
LOG_LIMIT = 1_000_000
"""The oldest events leave the log beyond this many: about 100 MB."""
LOG = "log"
SEEDED = "seeded:2"
HISTORY_TIMEOUT_S = 0.15
LOG_TIMEOUT_S = 2.0

_NEWEST = -HISTORY_LIMIT * INDEX_BYTES
CURSOR = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")
"""Digits of a stream id that Valkey takes: its halves have 64 bits, and 20 digits may be more."""

STORE_EVENT = """
local known = redis.call('GET', KEYS[1])
if known then
  -- A retry has to write too: WAIT vouches for what this connection wrote, the first try came over another.
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  if known == ARGV[4] then return 0 end
  return -1
end
-- First what may fail, on a key of another kind: nothing of an event is stored then.
-- Cut at twice its length and not each time: what is appended is all that replicas and the log on disk get.
if redis.call('APPEND', KEYS[3], struct.pack('<i4', ARGV[3])) > 2 * ARGV[6] then
  redis.call('SET', KEYS[3], redis.call('GETRANGE', KEYS[3], -ARGV[6], -1))
end
redis.call('SET', KEYS[1], ARGV[4], 'EX', ARGV[5])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*', 'id', ARGV[1], 'item', ARGV[2])
return 1
"""
"""Returns 1 for a new event, 0 for a retry, -1 when the id belongs to another event."""
STORE_EVENT_SHA1 = hashlib.sha1(STORE_EVENT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Event:
    """Something a user did with an item, ready to be stored: ``user`` is a pseudonym."""

    id: str
    user: str
    item: str
    item_index: int

    def command(self, *, with_source: bool) -> Command:
        """Return the script call that stores it, by digest or, ``with_source``, with the script's text."""
        keys = (f"e:{self.id}", LOG, history_key(self.user))
        same = f"{self.user}:{self.item}"
        arguments = (self.id, self.item, self.item_index, same, EVENT_ID_TTL_S, HISTORY_LIMIT * INDEX_BYTES, LOG_LIMIT)
        script = ("EVAL", STORE_EVENT) if with_source else ("EVALSHA", STORE_EVENT_SHA1)
        return (*script, len(keys), *keys, *arguments)


def history_key(pseudonym: str) -> str:
    return f"i:{pseudonym}"


def packed(indices: Iterable[int]) -> bytes:
    """The newest HISTORY_LIMIT of some catalogue indices as they are stored."""
    newest = list(indices)[-HISTORY_LIMIT:]
    return struct.pack(f"<{len(newest)}i", *newest)


def unpacked(stored: bytes) -> array[int]:
    """What `packed` was given; bytes that make up no whole index are left out."""
    indices = array("i", stored[len(stored) % INDEX_BYTES :])
    if sys.byteorder == "big":
        indices.byteswap()
    return indices


async def read_history(store: Link, pseudonym: str) -> array[int] | None:
    """Return a user's catalogue indices, newest last: empty for an unknown user, None if nobody can say.

    Gives up after 150 ms: a recommendation without the history is worth more than one that comes too late.
    """
    try:
        reply = await store.call("GETRANGE", history_key(pseudonym), _NEWEST, -1, timeout_s=HISTORY_TIMEOUT_S)
    except (StoreUnavailable, ReplyError):
        return None
    return unpacked(reply)


async def read_log(store: Link, after: str | None, limit: int) -> list[dict[str, str]]:
    """Return up to ``limit`` events that were stored after the cursor ``after``, oldest first.

    Raises `StoreUnavailable` or `ReplyError` when the store cannot say.
    """
    start = f"({after}" if after else "-"
    reply = await store.call("XRANGE", LOG, start, "+", "COUNT", limit, timeout_s=LOG_TIMEOUT_S)
    return [_log_entry(cursor, fields) for cursor, fields in reply]


def _log_entry(cursor: bytes, fields: list[bytes]) -> dict[str, str]:
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    return {"id": named[b"id"].decode(), "item": named[b"item"].decode(), "cursor": cursor.decode()}
