"""The users, items and queries of a service: counted, listed, or in a file beside the drill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from drills.spec.document import Document, Where
from drills.spec.rules import Number, kind_of, mapping, number, only_keys, sequence, text

MAX_BYTES = 64 * 1024 * 1024
MAX_CHARACTERS = 512
COUNT = Number("", at_least=1, at_most=1_000_000, whole=True)


@dataclass(frozen=True)
class Beside:
    """What stands outside a drill file: the files of ``folder`` and the environment.

    ``looked_up`` False: they are not there any more (the file is a run's copy), so lists from files read as empty.
    """

    folder: Path
    looked_up: bool = True


class _HeldOut(msgspec.Struct):
    """A line of a held-out file."""

    user: str | int
    items: list[str | int]


def names_of(doc: Document, where: Where, beside: Beside) -> tuple[str, ...]:
    """The names at ``where``, each once: ``{count:, prefix:}``, a list, or ``{file:}`` with one a line."""
    value = doc.value(where)
    if isinstance(value, list):
        names = [_name(doc, (*where, i)) for i in range(len(sequence(doc, where)))]
    elif isinstance(mapping(doc, where), dict) and "file" in value:
        only_keys(doc, where, ("file",))
        names = _lines(doc, (*where, "file"), beside)
    else:
        names = _counted(doc, where)
    if not names and beside.looked_up:
        raise doc.error(where, f"there are no {where[-1]}")
    return tuple(dict.fromkeys(names))


def _counted(doc: Document, where: Where) -> list[str]:
    only_keys(doc, where, ("count", "prefix", "file"))
    written = doc.value(where)
    if "count" not in written:
        problem = "'count' is missing"
        raise doc.error(where, problem, "Give {count: 200, prefix: user-}, a list, or {file: NAME}.")
    prefix = text(doc, (*where, "prefix"), "a prefix") if written.get("prefix") != "" and "prefix" in written else ""
    if not _sendable(prefix):
        raise doc.error((*where, "prefix"), "the prefix holds control characters or is too long")
    return [f"{prefix}{i}" for i in range(int(number(COUNT, doc, (*where, "count"))))]


def _name(doc: Document, where: Where) -> str:
    value = doc.value(where)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    name = text(doc, where, f"one of the {where[-2]}")
    if not _sendable(name):
        raise doc.error(where, f"one of the {where[-2]} holds control characters or is too long")
    return name


def _sendable(name: str) -> bool:
    return name.isprintable() and len(name) <= MAX_CHARACTERS


def _lines(doc: Document, where: Where, beside: Beside) -> list[str]:
    path, content = _content(doc, where, beside)
    names = [line.strip() for line in content.splitlines()]
    for count, name in enumerate(names, 1):
        if not _sendable(name):
            raise doc.error(where, f"{path}:{count}: control characters, or more than {MAX_CHARACTERS} of any kind")
    found = [name for name in names if name]
    if not found and beside.looked_up:
        raise doc.error(where, f"{path} is empty", "It holds one name a line.")
    return found


def held_out(doc: Document, where: Where, beside: Beside) -> dict[str, tuple[str, ...]]:
    """By user, the items that were left out of the history; from lines ``{"user": ..., "items": [...]}``."""
    mapping(doc, where)
    only_keys(doc, where, ("file",))
    if "file" not in doc.value(where):
        raise doc.error(where, "'file' is missing", "For example: held_out: {file: held_out.jsonl}")
    path, content = _content(doc, (*where, "file"), beside)
    found: dict[str, tuple[str, ...]] = {}
    decoder = msgspec.json.Decoder(_HeldOut)
    for count, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (ValueError, RecursionError) as error:
            remedy = 'A line is {"user": "u1", "items": ["i7", "i9"]}.'
            raise doc.error((*where, "file"), f"{path}:{count}: {error}", remedy) from None
        if str(row.user) in found:
            raise doc.error((*where, "file"), f"{path}:{count}: this user stands there twice")
        if row.items and str(row.user) and _sendable(str(row.user)):
            found[str(row.user)] = tuple(dict.fromkeys(map(str, row.items)))
    if not found and beside.looked_up:
        raise doc.error((*where, "file"), f"{path} holds no user with items")
    return found


def _content(doc: Document, where: Where, beside: Beside) -> tuple[Path, str]:
    """The path and the text of a file beside the drill; raises SpecError where it cannot be read."""
    path = beside.folder / text(doc, where, "the name of a file")
    if not beside.looked_up:
        return path, ""
    problem: Any
    try:
        if path.stat().st_size > MAX_BYTES:
            problem = f"is larger than {MAX_BYTES // 1024 // 1024} MiB"
        elif not path.is_file():
            problem = "is not a file"
        else:
            return path, path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or kind_of(str(error))}"
    raise doc.error(where, f"{path} {problem}", "The path counts from the drill file's folder.")
