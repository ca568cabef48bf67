"""``${name}`` in a drill file, replaced as Chaos Toolkit will replace it when the drill runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from string import Template
from typing import Any


class Unknown:
    """A value that only the machine that runs the drill can tell: from its environment, a secret, a probe."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


def resolve(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's values; UNKNOWN for those that come from elsewhere and are not there."""
    return {name: _resolved(value) for name, value in configuration.items()}


def _resolved(value: Any) -> Any:
    if not isinstance(value, dict) or "type" not in value:
        return value
    if value["type"] != "env" or value.get("env_var_type", "str") != "str":
        return UNKNOWN
    return os.environ.get(str(value.get("key")), value.get("default", UNKNOWN))


def substitute(value: Any, names: Mapping[str, Any]) -> Any:
    """``value`` with every ``${name}`` replaced; raises KeyError(name) for a name that is not in ``names``.

    A text that is one placeholder becomes the value in its own type, else values are put into the text. What
    depends on an UNKNOWN value is UNKNOWN.
    """
    if isinstance(value, dict):
        return {key: substitute(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, names) for item in value]
    if isinstance(value, str):
        return _substitute_text(value, names)
    return value


def _substitute_text(text: str, names: Mapping[str, Any]) -> Any:
    template = Template(text)
    whole = template.pattern.fullmatch(text)
    if whole is not None and (whole["named"] or whole["braced"]):
        return names[whole["named"] or whole["braced"]]
    if any(names[name] is UNKNOWN for name in template.get_identifiers()):
        return UNKNOWN
    return template.safe_substitute(names)
