"""The OpenAPI 3.1 document of the public endpoints; ``python -m recsvc.openapi`` prints it.

Bodies come from the structs that decode requests and describe answers, statuses and problems from the table below.
Tests hold it against the routes, and against what a node answers to thousands of made-up requests.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from recsvc import answers, requests
from recsvc.application import MAX_BODY_BYTES, Answer, Request
from recsvc.connection import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from recsvc.problems import TITLES
from recsvc.state import CURSOR
from recsvc.tokens import NEEDS

API_VERSION = "1"
EVERYWHERE: Mapping[int, tuple[str, ...]] = {
    400: ("not-http",),
    408: ("too-slow",),
    431: ("header-too-large",),
    500: ("internal",),
    503: ("too-many-connections", "too-many-pipelined"),
}
"""What any request may get, whatever it asks for."""
BODY: Mapping[int, tuple[str, ...]] = {
    400: ("not-json",),
    413: ("too-large",),
    415: ("not-json-type",),
    422: ("invalid",),
}
GUARDED: Mapping[int, tuple[str, ...]] = {401: ("no-token",), 403: ("not-allowed",)}
RANKING: Mapping[int, tuple[str, ...]] = {503: ("overloaded", "deadline")}
HEADERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "X-Recsvc-Region": ("The region that answers.", {"type": "string"}),
    "X-Recsvc-Node": ("The node that answers.", {"type": "string"}),
    "X-Recsvc-Model": ("The version of the model that answered, or that is in use.", {"type": "string"}),
    "X-Recsvc-Accelerator": ("What computed the answer, or is in use.", {"type": "string"}),
    "X-Recsvc-Cache": ("hit where an identical request's answer was given again; else absent.", {"type": "string"}),
    "X-Recsvc-Degraded": ("1 where the answer is not what it should be.", {"type": "string", "enum": ["0", "1"]}),
}
OF_STATUS: Mapping[int, tuple[str, str, dict[str, Any]]] = {
    401: ("WWW-Authenticate", "RFC 6750's challenge.", {"type": "string"}),
    403: ("WWW-Authenticate", "RFC 6750's challenge, with the scope that is lacking.", {"type": "string"}),
    405: ("Allow", "The methods that this path takes.", {"type": "string"}),
    415: ("Accept", "The media type that is taken.", {"type": "string"}),
    503: ("Retry-After", "Seconds after which to try again.", {"type": "integer", "minimum": 0}),
}


@dataclass(frozen=True)
class Operation:
    """One route and method. ``problems``: its own, by status; those of bodies, tokens and any request come on top."""

    path: str
    method: str
    name: str
    text: str
    answer: type | str
    body: type | None = None
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    query: Sequence[Mapping[str, Any]] = ()


def _parameter(name: str, text: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


PAGE = (
    _parameter("after", "The cursor to go on after.", {"type": "string", "pattern": f"^({CURSOR.pattern})?$"}),
    _parameter(
        "limit",
        "How many events at most.",
        {"type": "integer", "minimum": 1, "maximum": requests.MAX_PAGE, "default": requests.DEFAULT_PAGE},
    ),
)
OPERATIONS = (
    Operation(
        *("/v1/recommend", "POST", "recommend", "The best items for a user that the user has not dealt with."),
        answer=answers.Ranked,
        body=requests.RecommendRequest,
        problems=RANKING,
    ),
    Operation(
        *("/v1/search", "POST", "search", "The best matches of a query, bent towards the user's taste."),
        answer=answers.Ranked,
        body=requests.SearchRequest,
        problems=RANKING,
    ),
    Operation(
        *("/v1/events", "POST", "storeEvent", "Store an event once; a retry with the same id changes nothing."),
        answer=answers.Stored,
        body=requests.EventRequest,
        problems={409: ("id-reused",), 422: ("unknown-item",), 503: ("overloaded", "not-acknowledged")},
    ),
    Operation(
        *("/v1/events", "GET", "listEvents", "A page of the local store's event log, in stored order."),
        answer=answers.Page,
        problems={422: ("invalid",), 503: ("store-unavailable",)},
        query=PAGE,
    ),
    Operation("/v1/model", "GET", "model", "The manifest of the model that serves.", answers.Model),
    Operation("/livez", "GET", "live", "The process answers.", answers.Live),
    Operation(
        *("/readyz", "GET", "readyToRead", "Whether recommendations can be made from real histories."),
        answer=answers.State,
        problems={503: ("not-ready",)},
    ),
    Operation(
        *("/readyz/write", "GET", "readyToWrite", "Whether an event posted now would be acknowledged."),
        answer=answers.State,
        problems={503: ("not-ready",)},
    ),
    Operation("/metrics", "GET", "metrics", "Prometheus' text format.", "text/plain"),
    Operation("/openapi.json", "GET", "document", "This document.", "application/json"),
)


def document() -> dict[str, Any]:
    """The document, as JSON-able values; a node without a token file answers as if every request had a token."""
    kinds = [kind for operation in OPERATIONS for kind in (operation.body, operation.answer) if isinstance(kind, type)]
    unique = list(dict.fromkeys([*kinds, answers.ProblemDocument]))
    references, schemas = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    named = dict(zip(unique, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "recsvc",
            "version": API_VERSION,
            "description": "A recommender node. Every answer says by headers who gave it. Any other path is a 404, any "
            f"other method a 405; a path with its query has at most {MAX_TARGET_BYTES} bytes, a request at most "
            f"{MAX_HEADERS} headers with {MAX_HEADER_BYTES} bytes, a body at most {MAX_BODY_BYTES}.",
        },
        "paths": paths,
        "components": {
            "schemas": _ecma(schemas),
            "responses": {
                # No operation has them: they are what all other paths and methods get.
                "NoSuchRoute": _problem(404, ["no-such-route"], named[answers.ProblemDocument]),
                "WrongMethod": _problem(405, ["wrong-method"], named[answers.ProblemDocument]),
            },
            "headers": {name: {"description": text, "schema": schema} for name, (text, schema) in HEADERS.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Scopes: read, write, metrics."}
            },
        },
    }


def _operation(operation: Operation, named: Mapping[type, Any]) -> dict[str, Any]:
    scope = NEEDS.get((operation.path, operation.method))
    groups = [operation.problems, EVERYWHERE, BODY if operation.body else {}, GUARDED if scope else {}]
    statuses = sorted({status for group in groups for status in group})
    responses = {"200": _success(operation, named)}
    for status in statuses:
        kinds = sorted({kind for group in groups for kind in group.get(status, ())})
        responses[str(status)] = _problem(status, kinds, named[answers.ProblemDocument])
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.text, "responses": responses}
    described["security"] = [{"token": [scope.value]}] if scope else []
    if operation.query:
        described["parameters"] = list(operation.query)
    if operation.body:
        described["requestBody"] = {"required": True, "content": _content("application/json", named[operation.body])}
    return described


def _success(operation: Operation, named: Mapping[type, Any]) -> dict[str, Any]:
    if isinstance(operation.answer, str):
        content = _content(operation.answer, {"type": "object" if "json" in operation.answer else "string"})
    else:
        content = _content("application/json", named[operation.answer])
    return {"description": operation.text, "headers": _identity(), "content": content}


def _problem(status: int, kinds: Sequence[str], reference: Mapping[str, Any]) -> dict[str, Any]:
    types = {"type": {"enum": [f"urn:recsvc:problem:{kind}" for kind in kinds]}, "status": {"const": status}}
    headers = _identity()
    if status in OF_STATUS:
        name, text, schema = OF_STATUS[status]
        headers[name] = {"description": text, "schema": schema, "required": True}
    schema = {"allOf": [reference, {"properties": types}]}
    described = " ".join(f"{kind}: {TITLES[kind]}" for kind in kinds)
    return {"description": described, "headers": headers, "content": _content("application/problem+json", schema)}


def _identity() -> dict[str, dict[str, Any]]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}


def _content(media_type: str, schema: Any) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _ecma(value: Any) -> Any:
    """The same with Python's anchors, which JSON Schema's regular expressions lack, written as theirs."""
    if isinstance(value, dict):
        return {key: _pattern(v) if key == "pattern" and isinstance(v, str) else _ecma(v) for key, v in value.items()}
    return [_ecma(part) for part in value] if isinstance(value, list) else value


def _pattern(pattern: str) -> str:
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


async def get(request: Request) -> Answer:
    """GET /openapi.json."""
    del request
    return Answer(encoded())


def main() -> int:
    """Print the document for people and for generators of clients."""
    sys.stdout.write(msgspec.json.format(encoded(), indent=2).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
