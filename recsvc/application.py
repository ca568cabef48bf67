"""From a request to its handler and back: routes, admission, body's type and limit, problems, metrics.

No framework: on one core, raw handlers with msgspec served 27k requests/s, a framework with validation 5.7k.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from recsvc.exchange import BodyTooLarge, ClientGone, Exchange, Headers
from recsvc.metrics import Metrics
from recsvc.problems import CONTENT_TYPE as PROBLEM_TYPE
from recsvc.problems import Problem

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
CHECKED = frozenset((b"content-type", b"content-encoding"))
MAX_DIGITS = 12
"""A longer Content-Length is too much, whatever it says: leading zeros included."""
JSON_TYPE = b"application/json"

CLOSE = (b"connection", b"close")


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
Admit = Callable[[Exchange, Headers], None]
"""Raises the problem that a request which may not be answered gets; may add headers to its answer."""
Routes = Mapping[str, Mapping[str, Handler]]


class Application:
    """Answers exchanges over a table ``{path: {method: handler}}``.

    ``identity`` gives the header lines that every answer carries; without ``admit`` everybody may ask.
    """

    def __init__(
        self,
        routes: Routes,
        identity: Callable[[Answer], bytes],
        metrics: Metrics | None = None,
        admit: Admit | None = None,
    ) -> None:
        self._routes, self._identity, self._metrics, self._admit = routes, identity, metrics, admit

    async def __call__(self, exchange: Exchange) -> None:
        """Answer; to a client that has gone nothing is said."""
        metrics = self._metrics
        if metrics is None:
            await self._exchange(exchange)
            return
        started_s = time.monotonic()
        metrics.in_flight += 1
        try:
            status = await self._exchange(exchange)
        finally:
            metrics.in_flight -= 1
        if status is not None:
            # Unknown paths share one label: who scans for holes must not fill the memory with their names.
            route = exchange.path if exchange.path in self._routes else "other"
            metrics.request(route, status, time.monotonic() - started_s)

    async def _exchange(self, exchange: Exchange) -> int | None:
        """The status that was answered, None where nobody is left to tell."""
        extra: Headers = []
        try:
            answer = await self._answer(exchange, extra)
        except ClientGone:
            return None
        head = b"content-type: %b\r\ncontent-length: %d\r\n" % (answer.content_type, len(answer.body))
        head += self._identity(answer)
        close = CLOSE in extra
        if extra:
            head += b"".join(b"%b: %b\r\n" % header for header in extra if header != CLOSE)
        body = b"" if exchange.method == "HEAD" else answer.body
        await exchange.answer(answer.status, head, body, close=close)
        return answer.status

    async def _answer(self, exchange: Exchange, extra: Headers) -> Answer:
        try:
            handler = self._find(exchange.path, exchange.method, extra)
            if self._admit is not None:
                self._admit(exchange, extra)
            body = await _read_body(exchange, extra)
            return await handler(Request(exchange.query, body))
        except Problem as problem:
            if self._metrics is not None:
                self._metrics.problems[problem.kind] += 1
            if problem.retry_after_s is not None:
                extra.append((b"retry-after", b"%d" % problem.retry_after_s))
            return _as_answer(problem)
        except (ClientGone, GeneratorExit):
            raise
        except Exception:  # the last line: whatever goes wrong in one request is one 500, and is logged
            log.exception("request failed", extra={"data": {"path": exchange.path}})
            return _as_answer(Problem(500, "internal", "The node's log says more."))

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


async def _read_body(exchange: Exchange, extra: Headers) -> bytes:
    """Return the body; refuses one over MAX_BODY_BYTES, or of another type than JSON, without reading it to its end."""
    posted = exchange.method == "POST"
    for name, value in exchange.headers:
        if name == b"content-length" and value.isdigit() and (len(value) > MAX_DIGITS or int(value) > MAX_BODY_BYTES):
            raise _too_large(extra)
        if posted and value != JSON_TYPE and name in CHECKED:
            _check_type(name, value, extra)
    try:
        return await exchange.body(MAX_BODY_BYTES)
    except BodyTooLarge:
        raise _too_large(extra) from None


def _check_type(name: bytes, value: bytes, extra: Headers) -> None:
    """Raise a 415 for a body that is not plain JSON; one that does not say what it is is taken for JSON."""
    what = value.split(b";", 1)[0].strip().lower()
    if what in ((JSON_TYPE,) if name == b"content-type" else (b"", b"identity")):
        return
    extra += [(b"accept", JSON_TYPE), CLOSE]
    told = "application/json" if name == b"content-type" else "an uncompressed body"
    raise Problem(415, "not-json-type", f"Only {told} is taken, not {value[:64].decode('latin-1')!r}.")


def _too_large(extra: Headers) -> Problem:
    extra.append(CLOSE)  # the rest of the body is still on its way
    return Problem(413, "too-large", f"At most {MAX_BODY_BYTES} bytes are taken.")
