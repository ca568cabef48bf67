"""Whole answers, kept for identical requests. Off unless asked for: a drill would measure the cache.

A key holds all that an answer depends on: endpoint, request, model version, and the history that the store has just
given. So an event makes all older answers for its user unreachable, whichever node it went to and also when it came by
replication; nothing has to be told. Degraded answers are neither kept nor replaced by kept ones.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from recsvc.application import Answer

_ENTRY_BYTES = 400
"""Of CPython for a place in the order, an answer, and the headers of its bytes."""


def key_of(endpoint: str, request: bytes, version: str, history: Sequence[int]) -> bytes:
    """Return the key of an answer; ``request`` is the decoded request, encoded again with the pseudonym as the user."""
    return b"\0".join((endpoint.encode(), version.encode(), array("i", history).tobytes(), request))


class Responses:
    """At most ``max_bytes`` of answers; the one that was used least lately goes first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = self.hits = self.misses = self.evicted = 0
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: bytes | None) -> Answer | None:
        """Return the kept answer, marked as such; None where there is none, or no key."""
        if key is None:
            return None
        answer = self._answers.get(key)
        if answer is None:
            self.misses += 1
            return None
        self.hits += 1
        self._answers.move_to_end(key)
        return answer

    def keep(self, key: bytes | None, answer: Answer) -> Answer:
        """Keep ``answer`` if there is a key for it and it is not degraded; returns it as it came."""
        if key is not None and not answer.degraded and self._size(key, answer) <= self.max_bytes:
            self._remove(key)
            self._answers[key] = msgspec.structs.replace(answer, cached=True)
            self.bytes += self._size(key, answer)
            while self.bytes > self.max_bytes:
                self._remove(next(iter(self._answers)))
                self.evicted += 1
        return answer

    def _remove(self, key: bytes) -> None:
        old = self._answers.pop(key, None)
        if old is not None:
            self.bytes -= self._size(key, old)

    @staticmethod
    def _size(key: bytes, answer: Answer) -> int:
        return len(key) + len(answer.body) + _ENTRY_BYTES
