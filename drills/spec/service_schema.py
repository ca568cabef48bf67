"""The ``service`` of a drill as JSON Schema; names in templates, files and what depends on two places only ``load``
checks."""

from __future__ import annotations

from typing import Any

from drills.spec.audience import COUNT
from drills.spec.hooks import DEFAULT_TIMEOUT_S, PROVIDER_TYPES, TIMEOUT
from drills.spec.model import HOOKS
from drills.spec.service import METHODS, REGIONS

Schema = dict[str, Any]

_JSONPATH: Schema = {"type": "string", "pattern": r"^\$"}
_ADDRESS: Schema = {"type": "string", "pattern": "^https?://[^?#\\s]+$"}
_HEADERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "string", "pattern": r"\S"},
    "description": "Headers to send; ${env:NAME} stands for an environment variable.",
}
_OWN: dict[str, Schema] = {
    "ids": {**_JSONPATH, "description": "JSONPath to the ids in an answer."},
    "scores": {**_JSONPATH, "description": "JSONPath to the scores: as many numbers as ids."},
    "acknowledged": {
        **_JSONPATH,
        "description": "JSONPath to what is there, and true, in the answer to a stored write.",
    },
    "next": {**_JSONPATH, "description": "JSONPath to the cursor of the next page; nothing or null ends."},
    "first": {"type": ["string", "integer"], "description": "Cursor of the first page; without it none is sent."},
}


def service_schema() -> Schema:
    """What ``service`` may hold."""
    region = {"oneOf": [_ADDRESS, _closed({"url": _ADDRESS, "headers": _HEADERS}, ["url"])]}
    properties: Schema = {
        "name": {"type": "string", "pattern": r"\S", "description": "Stands in reports and tells baselines apart."},
        "edge": {**_ADDRESS, "description": "The clients' way in."},
        "regions": {
            **_closed(dict.fromkeys(REGIONS, region), []),
            "description": "The way to each region past the edge, for reading back.",
        },
        "headers": _HEADERS,
        "read": _ask("ids", "scores", required=("ids",), help_="How recommendations are asked for."),
        "write": _ask("acknowledged", help_="How an event is stored."),
        "read_back": _ask("ids", "next", "first", help_="How stored events are listed, or one is looked up by {id}."),
        "search": _ask("ids", "scores", required=("ids",), help_="How a search is asked for."),
        "region": _region_of_an_answer(),
        "users": {**_names(), "description": "Who asks."},
        "items": {**_names(), "description": "What events are about."},
        "queries": {**_names(), "description": "What is searched for."},
        "held_out": {
            **_closed({"file": {"type": "string"}}, ["file"]),
            "description": 'Right answers: a file of lines {"user": ..., "items": [...]}.',
        },
        "personal": {"type": "boolean", "default": True, "description": "false: all users may get the same list."},
        "hooks": {**_closed(dict.fromkeys(HOOKS, hook()), []), "description": "What recdr runs to steer the service."},
    }
    return {
        "description": "How a service that recdr did not deploy is asked.",
        **_closed(properties, ["name", "edge", "read", "users"]),
    }


def _closed(properties: Schema, required: list[str]) -> Schema:
    """A mapping that allows no other keys."""
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**found, "required": required} if required else found


def _ask(*own: str, required: tuple[str, ...] = (), help_: str) -> Schema:
    properties: Schema = {
        "path": {"type": "string", "pattern": r"^/[^\s#]*$", "description": "May hold {user}, {id} and so on."},
        "method": {"enum": list(METHODS), "description": "GET, or POST where there is a body, unless given."},
        "headers": _HEADERS,
        "body": {"description": 'JSON, with {user}, {id} and so on in its texts; exactly "{k}" becomes a number.'},
        **{key: _OWN[key] for key in own},
    }
    return {"description": help_, **_closed(properties, ["path", *required])}


def _region_of_an_answer() -> Schema:
    names = {"type": "object", "additionalProperties": {"enum": list(REGIONS)}}
    properties: Schema = {"header": {"type": "string", "pattern": r"\S"}, "json": _JSONPATH, "names": names}
    either = {"oneOf": [{"required": ["header"]}, {"required": ["json"]}]}
    return {"description": "How an answer says which region it came from.", **_closed(properties, []), **either}


def _names() -> Schema:
    count = {"type": "integer", "minimum": COUNT.at_least, "maximum": COUNT.at_most}
    name = {"anyOf": [{"type": "string", "pattern": r"\S"}, {"type": "integer"}]}
    return {
        "oneOf": [
            _closed({"count": count, "prefix": {"type": "string"}}, ["count"]),
            _closed({"file": {"type": "string"}}, ["file"]),
            {"type": "array", "minItems": 1, "items": name},
        ]
    }


def hook() -> Schema:
    """A hook of a service, or one that is an argument of a fault."""
    words = {"type": "array", "minItems": 1, "items": {"type": "string"}}
    provider = {"type": "object", "required": ["type"], "properties": {"type": {"enum": list(PROVIDER_TYPES.options)}}}
    timeout = {"type": "number", "exclusiveMinimum": TIMEOUT.above, "maximum": TIMEOUT.at_most}
    properties: Schema = {
        "command": {**words, "description": "Program and arguments, run in the drill file's folder."},
        "provider": {**provider, "description": "A Chaos Toolkit provider."},
        "tolerance": {"description": "What the provider must answer, as in Chaos Toolkit."},
        "timeout_s": {**timeout, "default": DEFAULT_TIMEOUT_S},
    }
    return {**_closed(properties, []), "oneOf": [{"required": ["command"]}, {"required": ["provider"]}]}
