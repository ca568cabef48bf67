"""What a plan must not show: values that come from the environment, and what looks like a password in a command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from drills.spec import Hook
from drills.spec.arguments import places
from drills.spec.model import Topology
from drills.spec.substitution import resolve

HIDDEN = "(not shown)"
_SECRET = re.compile(r"(?i)(token|secret|passw|password|passphrase|api[-_]?key|authorization|credential|bearer)")
_SHORTEST = 4
"""A value this short is found by chance in words that have nothing to do with it."""


class Mask:
    """Puts ``${name}`` back for values that a drill takes from its environment; places of a lab are no secret."""

    def __init__(self, configuration: Mapping[str, Any], topology: Topology) -> None:
        resolved, known = resolve(configuration), places(topology)
        self._names = {
            str(resolved[name]): name
            for name, value in configuration.items()
            if isinstance(value, Mapping) and isinstance(resolved[name], str) and resolved[name] not in known
        }

    def __call__(self, value: Any) -> Any:
        """``value`` with every text in it masked."""
        if isinstance(value, Mapping):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        if not isinstance(value, str):
            return value
        for secret, name in sorted(self._names.items(), key=lambda item: -len(item[0])):
            if value == secret or len(secret) >= _SHORTEST:
                value = value.replace(secret, f"${{{name}}}")
        return value


def command(words: Sequence[str]) -> str:
    """A command as a person would type it; what follows ``--token``, ``PASSWORD=`` and the like is left out."""
    shown: list[str] = []
    secret = False
    for word in words:
        name, sign, value = word.partition("=")
        if secret:
            shown.append(HIDDEN)
        elif sign and value and _SECRET.search(name):
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(_SECRET.split(word)[0] + HIDDEN if " " in word and _SECRET.search(word) else word)
        secret = not secret and not sign and word.startswith("-") and bool(_SECRET.search(word))
    return " ".join(shown)


def provider(written: Mapping[str, Any]) -> str:
    """A Chaos Toolkit provider in a few words; its arguments may hold anything and are left out."""
    if "module" in written:
        return f"{written['module']}.{written.get('func')}"
    if "url" in written:
        return address(str(written["url"]))
    return str(written.get("path", ""))


def address(url: str) -> str:
    """Where a request goes, without user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def hook(found: Hook) -> str:
    """What a hook runs, and for how long at most."""
    what = command(found.command) if found.command is not None else provider(found.provider or {})
    return f"{what} (at most {found.timeout_s:g} s)"
