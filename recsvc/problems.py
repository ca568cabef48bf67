"""Errors as clients see them: RFC 9457 problem details.

Problem
├── bad request     400 not-json, not-http
├── no token        401 no-token, with WWW-Authenticate
├── not allowed     403 not-allowed, with WWW-Authenticate
├── not found       404 no-such-route
├── wrong method    405 wrong-method, with Allow
├── too slow        408 too-slow
├── conflict        409 id-reused, accelerator-not-failable
├── too large       413 too-large
├── wrong type      415 not-json-type, with Accept
├── bad content     422 invalid, unknown-item
├── large header    431 header-too-large
├── a bug           500 internal
└── not now         503 overloaded, deadline, not-acknowledged, not-ready, store-unavailable, too-many-connections,
                        too-many-pipelined: all with Retry-After
"""

from __future__ import annotations

from typing import Any

import msgspec

CONTENT_TYPE = b"application/problem+json"
TITLES = {
    "not-json": "The body is not valid JSON.",
    "not-http": "The request is not valid HTTP/1.1.",
    "no-token": "A valid bearer token is needed.",
    "not-allowed": "This token does not allow that.",
    "no-such-route": "There is nothing at this path.",
    "wrong-method": "This path does not take that method.",
    "too-slow": "The request took too long to arrive.",
    "id-reused": "This event id belongs to another event.",
    "accelerator-not-failable": "This accelerator cannot be failed in that way.",
    "too-large": "The body is too large.",
    "not-json-type": "The body has to be JSON, as it is.",
    "invalid": "The request is not valid.",
    "unknown-item": "The catalogue has no such item.",
    "header-too-large": "The request's line or headers are too large.",
    "overloaded": "The node has more work than it can take.",
    "deadline": "The answer would have come too late.",
    "not-acknowledged": "The event is not acknowledged.",
    "not-ready": "The node is not ready.",
    "store-unavailable": "The region's store does not answer.",
    "too-many-connections": "The node has more connections than it can take.",
    "too-many-pipelined": "Too many requests were sent ahead of their answers.",
    "internal": "The node failed to answer.",
}


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is an error. ``kind`` picks the title; ``more`` are extension members of the document.

    ``retry_after_s`` (whole seconds) becomes the Retry-After header.
    """

    def __init__(self, status: int, kind: str, detail: str, *, retry_after_s: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.retry_after_s, self.more = (
            status,
            kind,
            detail,
            retry_after_s,
            more,
        )

    def body(self) -> bytes:
        document = {
            "type": f"urn:recsvc:problem:{self.kind}",
            "title": TITLES[self.kind],
            "status": self.status,
            "detail": self.detail,
        }
        return msgspec.json.encode(document | self.more)


def not_now(kind: str, detail: str, **more: Any) -> Problem:
    """A 503 with Retry-After: the same request may well succeed in a second, here or at another node."""
    return Problem(503, kind, detail, retry_after_s=1, **more)
