"""Who is told of what came of a drill: addresses by the names of environment variables, never by themselves.

No message of this file repeats what was written where an address may stand by mistake: it may be a secret.
"""

from __future__ import annotations

import re
from typing import Any

from drills.spec.document import Document, Where
from drills.spec.model import TOLD_WHEN, WHEN, Notify
from drills.spec.rules import Choice, choice, only_keys

VARIABLE = re.compile(r"RECDR_NOTIFY_[A-Z0-9_]+")
RESERVED = "RECDR_NOTIFY_WHEN"
"""Says of the machine's own destinations when they are told."""
_EXAMPLE = "For example: notify: [{to_env: RECDR_NOTIFY_SLACK}], with the address in that environment variable."


def read_notify(doc: Document, extension: Where) -> tuple[Notify, ...]:
    """Those who are told; () where the drill names nobody. Raises SpecError, which repeats no address."""
    where = (*extension, "notify")
    if "notify" not in doc.value(extension):
        return ()
    written = doc.value(where)
    if not isinstance(written, list) or not written:
        raise doc.error(where, "a list of those who are told is expected here", _EXAMPLE)
    found: list[Notify] = []
    for position in range(len(written)):
        one = _one(doc, (*where, position))
        if one.to_env in [other.to_env for other in found]:
            raise doc.error((*where, position, "to_env"), f"{one.to_env} stands there twice", "Merge them.")
        found.append(one)
    return tuple(found)


def _one(doc: Document, where: Where) -> Notify:
    written = doc.value(where)
    if not isinstance(written, dict):
        raise doc.error(where, "a mapping with 'to_env' is expected here", _EXAMPLE)
    only_keys(doc, where, ("to_env", "when"))
    if "to_env" not in written:
        raise doc.error(where, "'to_env' is missing", _EXAMPLE)
    when = _when(doc, (*where, "when")) if "when" in written else TOLD_WHEN
    return Notify(_variable(doc, (*where, "to_env")), when)


def _variable(doc: Document, where: Where) -> str:
    value = doc.value(where)
    if isinstance(value, str) and value == RESERVED:
        raise doc.error(where, f"{RESERVED} holds no address", "Choose another name, such as RECDR_NOTIFY_SLACK.")
    if isinstance(value, str) and VARIABLE.fullmatch(value):
        return value
    if isinstance(value, str) and ":" in value:
        problem = "an address stands here: it would be copied into every run, with the secret in it"
        remedy = "Put it into an environment variable such as RECDR_NOTIFY_SLACK, and write that name."
        raise doc.error(where, problem, remedy)
    problem = "the name of an environment variable is expected here, RECDR_NOTIFY_ and capitals or digits"
    raise doc.error(where, problem, "For example: to_env: RECDR_NOTIFY_SLACK")


def _when(doc: Document, where: Where) -> tuple[str, ...]:
    written = doc.value(where)
    if not isinstance(written, list) or not written:
        raise doc.error(where, "a list is expected here", f"Of these: [{', '.join(WHEN)}].")
    return tuple(dict.fromkeys(choice(Choice(WHEN), doc, (*where, i)) for i in range(len(written))))


def notify_schema() -> dict[str, Any]:
    """``notify`` as JSON Schema."""
    when = {
        "type": "array",
        "minItems": 1,
        "items": {"enum": list(WHEN)},
        "default": list(TOLD_WHEN),
        "description": "Which outcomes they are told of; changed: another one than the drill's run before.",
    }
    variable = {
        "type": "string",
        "pattern": f"^{VARIABLE.pattern}$",
        "not": {"const": RESERVED},
        "description": "The environment variable that holds the address: never the address itself.",
    }
    one = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"to_env": variable, "when": when},
        "required": ["to_env"],
    }
    return {"type": "array", "minItems": 1, "description": "Who is told what came of the drill.", "items": one}
