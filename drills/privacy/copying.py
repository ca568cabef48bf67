"""A drill file without its secrets, line for line, so that what is said of it later points at the right place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from drills.privacy import known, looks
from drills.privacy.finding import FROM_ELSEWHERE
from drills.privacy.looks import HIDDEN

_MARKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""Line breaks for YAML, though not for JSON."""
_ANCHOR = re.compile(r"(?:!\S*\s+)?(&\S+)\s")
Where = tuple[str | int, ...]


@dataclass(frozen=True)
class _Change:
    begin: int
    end: int
    text: str


def without_secrets(text: str) -> str:
    """The text of a drill file with ``***`` for every secret, and users called by their place in the list of them."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()
    changes: dict[int, _Change] = {}
    if root is not None:
        for change in _changes(root, (), text, set()):
            changes.setdefault(change.begin, change)
    pieces, done = [], 0
    for change in sorted(changes.values(), key=lambda one: one.begin):
        pieces += [_comments(text[done : change.begin]), change.text]
        done = change.end
    return "".join([*pieces, _comments(text[done:])])


def _changes(node: yaml.Node, where: Where, text: str, seen: set[tuple[int, bool]]) -> Iterator[_Change]:
    """What is to be changed at and below a node; what an alias shares is looked at once for each kind of place."""
    mark = (id(node), _is_secret_place(where) or _is_user(where))
    if mark in seen and not isinstance(node, yaml.ScalarNode):
        return
    seen.add(mark)
    if isinstance(node, yaml.MappingNode):
        if _is_secret_place(where) and _says_where(node):
            return
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            yield from _changes(value, (*where, name), text, seen)
    elif isinstance(node, yaml.SequenceNode):
        kept = known.redacted([one.value if _is_text(one) else None for one in node.value])
        for position, one in enumerate(node.value):
            place = (*where, position)
            new = kept[position]
            if new is not None and new != one.value and not (_is_user(place) or _is_secret_place(place)):
                yield _change(one, new, text)
            else:
                yield from _changes(one, place, text, seen)
    elif isinstance(node, yaml.ScalarNode):
        new = _instead(node, where)
        if new != node.value:
            yield _change(node, new, text)


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"


def _instead(node: yaml.ScalarNode, where: Where) -> str:
    """What is to stand there instead of a scalar."""
    if _is_user(where):
        return str(where[-1])
    if _is_secret_place(where) and node.value:
        return HIDDEN
    name = where[-1] if where and isinstance(where[-1], str) else ""
    if not _is_text(node):
        return HIDDEN if node.tag.endswith((":int", ":float")) and looks.holds_secret_number(name) else node.value
    found: Any = known.redacted({name: node.value})
    return str(next(iter(found.values())))


def _is_user(where: Where) -> bool:
    """Whether it is one of the users of a service, written into the drill."""
    if len(where) != 5:
        return False
    top, _, part, kind, place = where
    return (top, part, kind) == ("extensions", "service", "users") and isinstance(place, int)


def _is_secret_place(where: Where) -> bool:
    """Whether it belongs to ``secrets:``."""
    return where[:1] == ("secrets",) and len(where) > 1


def _says_where(node: yaml.MappingNode) -> bool:
    """Whether it says where a secret is looked up: that is none itself."""
    return any(key.value == "type" and value.value in FROM_ELSEWHERE for key, value in node.value)


def _change(node: yaml.ScalarNode, new: str, text: str) -> _Change:
    """The new text in quotes, with as many lines as the old one took."""
    begin, end = node.start_mark.index, node.end_mark.index
    anchor = _ANCHOR.match(text, begin)
    quoted = _MARKS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(new, ensure_ascii=False))
    return _Change(begin, end, (f"{anchor[1]} " if anchor else "") + quoted + "\n" * text.count("\n", begin, end))


def _comments(between: str) -> str:
    """What stands between changed values, with nothing secret left in comments."""
    if "#" not in between:
        return between
    return "".join(_comment(line) for line in between.splitlines(keepends=True))


def _comment(line: str) -> str:
    code, mark, words = line.partition("#")
    if not mark:
        return line
    body = words.rstrip("\r\n")
    return f"{code}#{known.redacted(body)}{words[len(body) :]}"
