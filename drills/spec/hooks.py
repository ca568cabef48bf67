"""The hooks of a service: what recdr runs to deploy, promote, fail back and so on."""

from __future__ import annotations

import shlex
from typing import Any

from drills.spec.audience import Beside
from drills.spec.document import Document, Where
from drills.spec.model import HOOKS, Hook
from drills.spec.rules import Choice, Number, choice, mapping, number, only_keys, sequence, text

TIMEOUT = Number("s", above=0, at_most=3600)
DEFAULT_TIMEOUT_S = 60.0
PROVIDER_TYPES = Choice(("python", "process", "http"))
_NEEDED = {"python": ("module", "func"), "process": ("path",), "http": ("url",)}


def read_hooks(doc: Document, where: Where, beside: Beside) -> dict[str, Hook]:
    """The hooks at ``where``, by name; raises SpecError for one that could never run."""
    mapping(doc, where)
    only_keys(doc, where, HOOKS)
    return {name: read_hook(doc, (*where, name), beside) for name in doc.value(where)}


def read_hook(doc: Document, where: Where, beside: Beside) -> Hook:
    """The hook at ``where``; raises SpecError for one that could never run."""
    written = mapping(doc, where)
    only_keys(doc, where, ("command", "provider", "tolerance", "timeout_s"))
    if ("command" in written) == ("provider" in written):
        raise doc.error(where, "a hook is either a 'command' or a 'provider'", "For example: {command: [./up.sh]}.")
    timeout_s = number(TIMEOUT, doc, (*where, "timeout_s")) if "timeout_s" in written else DEFAULT_TIMEOUT_S
    if "command" in written and "tolerance" in written:
        raise doc.error((*where, "tolerance"), "a command succeeds when it exits with 0", "Remove it.")
    if "command" in written:
        return Hook(_command(doc, (*where, "command"), beside), None, float(timeout_s))
    return Hook(None, _provider(doc, (*where, "provider")), float(timeout_s), written.get("tolerance"))


def _command(doc: Document, where: Where, beside: Beside) -> tuple[str, ...]:
    """The words of a command; no shell ever reads them."""
    value = doc.value(where)
    if isinstance(value, str):
        raise doc.error(where, "a command is a list of words, and no shell reads it", f"Write {_words(value)}.")
    words = tuple(text(doc, (*where, i), "a word of a command") for i in range(len(sequence(doc, where))))
    if not words:
        raise doc.error(where, "the command is empty")
    program = beside.folder / words[0]
    if beside.looked_up and "/" in words[0] and not program.is_file():
        raise doc.error((*where, 0), f"there is no file {program}", "The path counts from the drill file's folder.")
    return words


def _words(command: str) -> str:
    try:
        return "[" + ", ".join(shlex.split(command)) + "]"
    except ValueError:
        return "[PROGRAM, ARGUMENT]"


def _provider(doc: Document, where: Where) -> dict[str, Any]:
    """A Chaos Toolkit provider; what else it must hold is left to Chaos Toolkit."""
    written = mapping(doc, where)
    if "type" not in written:
        raise doc.error(where, "'type' is missing", "It is python, process or http.")
    kind = choice(PROVIDER_TYPES, doc, (*where, "type"))
    for key in _NEEDED[kind]:
        if key not in written:
            raise doc.error(where, f"{key!r} is missing")
    return written
