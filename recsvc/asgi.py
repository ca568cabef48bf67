"""From ASGI's messages to handlers and back: routes, admission, body's type and limit, problem documents, metrics.

Raw ASGI instead of a framework: on one core, uvicorn with raw ASGI and msgspec served 27k requests/s, the
usual framework with its validation 5.7k.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from recsvc.metrics import Metrics
from recsvc.problems import CONTENT_TYPE as PROBLEM_TYPE
from recsvc.problems import Problem

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
CHECKED = frozenset((b"content-type", b"content-encoding"))
MAX_DIGITS = 12
"""A longer Content-Length is too much, whatever it says: leading zeros included."""
JSON_TYPE = b"application/json"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Request(msgspec.Struct, frozen=True):
    """What handlers need to know: the raw query string and the whole body."""

    query: bytes
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """What a handler returns. ``accelerator`` and ``model`` (its version) are None where none computed it.

    ``cached`` says that it was computed for an identical request before.
    """

    body: bytes
    status: int = 200
    content_type: bytes = JSON_TYPE
    degraded: bool = False
    accelerator: str | None = None
    model: str | None = None
    cached: bool = False


Handler = Callable[[Request], Awaitable[Answer]]
Admit = Callable[[Mapping[str, Any], Headers], None]
"""Raises the problem that a request which may not be answered gets; may add headers to its answer."""
Routes = Mapping[str, Mapping[str, Handler]]


class ClientGone(Exception):  # noqa: N818 - not an error of ours
    """The client hung up before its request was complete."""


class Application:
    """An ASGI application over a table ``{path: {method: handler}}``.

    ``identity`` gives the headers that every answer carries; without ``admit`` everybody may ask.
    """

    def __init__(
        self,
        routes: Routes,
        identity: Callable[[Answer], Headers],
        metrics: Metrics | None = None,
        admit: Admit | None = None,
    ) -> None:
        self._routes, self._identity, self._metrics, self._admit = routes, identity, metrics, admit

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started_s = time.monotonic()
        if self._metrics is not None:
            self._metrics.in_flight += 1
        try:
            answer, extra = await self._answer(scope, receive)
        except ClientGone:
            return
        finally:
            if self._metrics is not None:
                self._metrics.in_flight -= 1
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            *extra,
            *self._identity(answer),
        ]
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if self._metrics is not None:
            # Unknown paths share one label: who scans for holes must not fill the memory with their names.
            route = scope["path"] if scope["path"] in self._routes else "other"
            self._metrics.request(route, answer.status, time.monotonic() - started_s)

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> tuple[Answer, Headers]:
        extra: Headers = []
        try:
            handler = self._find(scope["path"], scope["method"], extra)
            if self._admit is not None:
                self._admit(scope, extra)
            body = await _read_body(scope, receive, extra)
            return await handler(Request(scope["query_string"], body)), extra
        except Problem as problem:
            if self._metrics is not None:
                self._metrics.problems[problem.kind] += 1
            if problem.retry_after_s is not None:
                extra.append((b"retry-after", b"%d" % problem.retry_after_s))
            return _as_answer(problem), extra
        except (ClientGone, GeneratorExit):
            raise
        except Exception:  # the last line: whatever goes wrong in one request is one 500, and is logged
            log.exception("request failed", extra={"data": {"path": scope["path"]}})
            return _as_answer(Problem(500, "internal", "The node's log says more.")), extra

    def _find(self, path: str, method: str, extra: Headers) -> Handler:
        methods = self._routes.get(path)
        if methods is None:
            raise Problem(404, "no-such-route", f"{path[:200]!r} is not a path of this service.")
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
            extra.append((b"allow", ", ".join(allowed).encode()))
            raise Problem(405, "wrong-method", f"{path} takes {', '.join(allowed)}.")
        return handler


def _as_answer(problem: Problem) -> Answer:
    return Answer(problem.body(), problem.status, PROBLEM_TYPE)


async def _read_body(scope: Mapping[str, Any], receive: Receive, extra: Headers) -> bytes:
    """Return the body; refuses one over MAX_BODY_BYTES, or of another type than JSON, without reading it to its end."""
    posted = scope["method"] == "POST"
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > MAX_DIGITS or int(value) > MAX_BODY_BYTES):
            raise _too_large(extra)
        if posted and value != JSON_TYPE and name in CHECKED:
            _check_type(name, value, extra)
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large(extra)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_type(name: bytes, value: bytes, extra: Headers) -> None:
    """Raise a 415 for a body that is not plain JSON; one that does not say what it is is taken for JSON."""
    what = value.split(b";", 1)[0].strip().lower()
    if what in ((JSON_TYPE,) if name == b"content-type" else (b"", b"identity")):
        return
    extra += [(b"accept", JSON_TYPE), (b"connection", b"close")]
    told = "application/json" if name == b"content-type" else "an uncompressed body"
    raise Problem(415, "not-json-type", f"Only {told} is taken, not {value[:64].decode('latin-1')!r}.")


def _too_large(extra: Headers) -> Problem:
    extra.append((b"connection", b"close"))  # the rest of the body is still on its way
    return Problem(413, "too-large", f"At most {MAX_BODY_BYTES} bytes are taken.")
