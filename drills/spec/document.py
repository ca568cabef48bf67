"""A drill file as plain values that remember the line they stand on.

The same text gives the same values as ``yaml.safe_load``, which Chaos Toolkit uses, but what that would read
silently and wrongly (duplicate keys, NaN, keys that are no text, alias bombs) is refused here.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from drills.errors import SpecError

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 50
EXTENSION = "recdr"


@dataclass(frozen=True)
class Kind:
    """What is said of a file of this kind that is wrong; ``form`` is a whole clause, ``start`` how to begin one."""

    noun: str = "drill"
    form: str = "a drill is a mapping that begins with a title"
    start: str = "Copy a shipped drill to begin with, say failover.yaml."


DRILL = Kind()

Where = tuple[str | int, ...]
"""The keys and list positions that lead from the top of the file to a value."""


@dataclass(frozen=True)
class Document:
    """What stands in a file: ``data``, the line (from 1) of each key or list item, and scalars as typed."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Where, int]
    texts: Mapping[Where, str]

    def line(self, where: Where) -> int:
        """The line of ``where`` or, for what is not in the file, of the innermost thing around it that is."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def value(self, where: Where) -> Any:
        """The value at ``where``; raises LookupError where there is none."""
        value: Any = self.data
        for step in where:
            value = value[step]
        return value

    def error(self, where: Where, problem: str, remedy: str = "") -> SpecError:
        """A SpecError that points at ``where``."""
        key, line = self.dotted(where) or None, self.line(where)
        return SpecError(self.path, _before(remedy, problem), key=key, line=line, remedy=remedy)

    def dotted(self, where: Where) -> str:
        """``where`` for people: ``method[0].pauses.after``; the recdr extension is called ``recdr``."""
        if where[:1] == ("extensions",) and len(where) > 1 and self._is_recdr(where[:2]):
            where = (EXTENSION, *where[2:])
        return _dotted(where)

    def _is_recdr(self, where: Where) -> bool:
        extension = self.value(where)
        return isinstance(extension, dict) and extension.get("name") == EXTENSION


def _before(remedy: str, problem: str) -> str:
    """``problem`` as a whole sentence where another one follows it."""
    return f"{problem.removesuffix('.')}." if remedy else problem


def _dotted(where: Where) -> str:
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read(path: Path, kind: Kind = DRILL) -> Document:
    """Read a file, a drill's by default, without judging its contents; raises SpecError where it is no YAML mapping."""
    text = _text(path, kind)
    try:
        return _Reader(path, text, kind).document()
    except yaml.reader.ReaderError as error:
        # A whole text was given, so the position counts characters of it.
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character U+{error.character:04X} is not allowed in YAML."
        raise SpecError(path, problem, line=line, remedy="Remove it.") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, error) from None
    except RecursionError:
        raise SpecError(path, "values are nested too deeply.", remedy=_TOO_DEEP) from None


_TOO_DEEP = f"At most {MAX_DEPTH} levels are allowed, and an alias may not contain itself."


def _text(path: Path, kind: Kind) -> str:
    """The whole file as text; what cannot be of its kind is refused before it is read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SpecError(path, f"this is a directory, not a {kind.noun} file")
        if not stat.S_ISREG(mode):
            raise SpecError(path, "this is not a regular file")
        if path.suffix not in SUFFIXES:
            remedy = f"Chaos Toolkit reads only {', '.join(SUFFIXES)}: rename it."
            raise SpecError(path, f"a {kind.noun} file cannot end in {path.suffix or 'nothing'!r}.", remedy=remedy)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(path, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise SpecError(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MAX_BYTES:
        raise SpecError(path, f"is larger than {MAX_BYTES // 1024} KiB, which no {kind.noun} is")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(path, "is not UTF-8 text.", line=line, remedy="Save it as UTF-8.") from None
    if not text.strip():
        raise SpecError(path, "is empty.", remedy=kind.start)
    return text


def _syntax_error(path: Path, error: yaml.MarkedYAMLError) -> SpecError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be parsed"
    remedy = ""
    if "'\\t'" in problem:
        remedy = "YAML is indented with spaces, never with tabs."
    elif "mapping values are not allowed" in problem:
        remedy = "Check the indentation, and quote a text that contains ': '."
    problem = _before(remedy, f"not valid YAML: {problem}")
    return SpecError(path, problem, line=mark.line + 1 if mark else None, remedy=remedy)


@dataclass
class _Reader:
    """Turns YAML nodes into values; aliases are copied out, so that no two places share a value."""

    path: Path
    text: str
    kind: Kind = DRILL
    lines: dict[Where, int] = field(default_factory=dict)
    texts: dict[Where, str] = field(default_factory=dict)
    values: int = 0

    def document(self) -> Document:
        self.loader = yaml.SafeLoader(self.text)
        try:
            root = self.loader.get_single_node()
            if root is None:
                raise SpecError(self.path, "holds nothing but comments")
            data = self.convert(root, ())
        finally:
            self.loader.dispose()
        if not isinstance(data, dict):
            raise SpecError(self.path, self.kind.form, line=1)
        return Document(self.path, data, self.lines, self.texts)

    def convert(self, node: yaml.Node, where: Where) -> Any:
        self.count(node, where)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, where)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.item(item, (*where, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, where)
        raise self.error(node, where, f"the YAML tag {node.tag!r} has no meaning in a {self.kind.noun}")

    def count(self, node: yaml.Node, where: Where) -> None:
        """Bounds the work: a few lines of nested aliases can stand for billions of values."""
        self.values += 1
        if self.values > MAX_VALUES:
            problem = f"the file expands to more than {MAX_VALUES} values"
            raise self.error(node, where, problem, "Use fewer aliases.")
        if len(where) > MAX_DEPTH:
            raise self.error(node, (), "values are nested too deeply", _TOO_DEEP)

    def item(self, node: yaml.Node, where: Where) -> Any:
        self.lines[where] = node.start_mark.line + 1
        return self.convert(node, where)

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, tuple[int, yaml.Node]] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged.update(self.merged(value_node, where))
                continue
            key = self.key(key_node, where)
            if key in own:
                remedy = f"It stands on line {own[key][0]} too; YAML would silently keep only the last one."
                raise self.error(key_node, (*where, key), "this key is written twice", remedy)
            own[key] = line, value_node
        for key, (line, value_node) in own.items():
            self.lines[(*where, key)] = line
            merged[key] = self.convert(value_node, (*where, key))
        return merged

    def merged(self, node: yaml.Node, where: Where) -> dict[str, Any]:
        """The mapping or mappings behind a ``<<`` key; of several with the same key the first one wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for source in reversed(sources):
            self.count(source, where)
            if not isinstance(source, yaml.MappingNode):
                raise self.error(node, where, "'<<' takes a mapping or a list of mappings")
            result.update(self.mapping(source, where))
        return result

    def key(self, node: yaml.Node, where: Where) -> str:
        key = self.scalar(node, ()) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str):
            return key
        shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
        raise self.error(node, where, f"{shown} is not text, so it cannot be a key", "Put it in quotes.")

    def scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        try:
            value = self.loader.construct_object(node)
            if isinstance(value, str):
                value.encode()  # a lone surrogate ("\\ud800") could be written to no file of the run
        except (ValueError, LookupError, AttributeError, ArithmeticError, TypeError):
            # PyYAML lets whatever int(), float() and date() raise escape.
            kind = node.tag.rpartition(":")[2]
            problem = f"{node.value[:60]!r} is not a valid {kind}"
            raise self.error(node, where, problem, "Quote it if it is text.") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(node, where, f"{node.value} is not a finite number")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise self.error(node, where, f"{node.value[:20]}... is too large a number")
        if where:
            self.texts[where] = node.value if node.style is None else ""
        return value

    def error(self, node: yaml.Node, where: Where, problem: str, remedy: str = "") -> SpecError:
        line = node.start_mark.line + 1
        problem = _before(remedy, problem)
        return SpecError(self.path, problem, key=_dotted(where) or None, line=line, remedy=remedy)
