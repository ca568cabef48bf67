"""How faults are called where people read of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shown(arguments: Mapping[str, Any]) -> str:
    """A fault's arguments in a few words: ``region: primary``.

    A fault of the drill's own says in ``what`` what it breaks; its commands are for machines.
    """
    if isinstance(what := arguments.get("what"), str) and what:
        return what
    return ", ".join(f"{name}: {_value(value)}" for name, value in arguments.items() if value not in (None, "", False))


def _value(value: Any) -> str:
    """A hook by its command or its provider's function, anything else as it is."""
    if not isinstance(value, Mapping):
        return str(value)
    if isinstance(command := value.get("command"), list):
        return " ".join(map(str, command))
    provider = value.get("provider")
    if not isinstance(provider, Mapping):
        return str(dict(value))
    names = [provider[key] for key in ("module", "func", "url", "path") if key in provider]
    return ".".join(map(str, names))
