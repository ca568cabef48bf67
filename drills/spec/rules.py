"""What a single setting may be, said once: the reader and the JSON Schema both follow these rules.

A setting's rule stands in its annotation: ``timeout_s: Annotated[float, Number("s", above=0), "help"]``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from drills.spec.document import Document, Where

T = TypeVar("T")

_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Z%]*)\s*")


@dataclass(frozen=True)
class Number:
    """A number in ``unit``; ``whole`` allows integers only. ``ratio`` is a share of 1, not a percentage."""

    unit: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]


Rule = Number | Choice


@dataclass(frozen=True)
class Setting:
    """One key of a section: its rule or, for a section of its own, the dataclass that describes it."""

    name: str
    rule: Rule | type[Any]
    help: str
    required: bool
    default: Any = None


def settings(cls: type[Any]) -> list[Setting]:
    """The settings of a section's dataclass; fields without a rule (lists of things) are not among them."""
    hints = get_type_hints(cls, include_extras=True)
    fields = [field for field in dataclasses.fields(cls) if get_origin(hints[field.name]) is Annotated]
    return [_setting(field, hints[field.name]) for field in fields]


def _setting(field: dataclasses.Field[Any], hint: Any) -> Setting:
    kind, *notes = get_args(hint)
    rules = [note for note in notes if isinstance(note, Rule)]
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    default = None if field.default is dataclasses.MISSING else field.default
    return Setting(field.name, rules[0] if rules else _section_of(kind), notes[-1], required, default)


def _section_of(kind: Any) -> type[Any]:
    """The dataclass in ``Section`` or ``Section | None``."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next(option for option in options if isinstance(option, type) and option is not types.NoneType)


def read_section(cls: type[T], doc: Document, where: Where) -> T:
    """The section at ``where`` as ``cls``; raises SpecError for anything that ``cls`` does not allow."""
    return cls(**read_settings(cls, doc, where))


def read_settings(cls: type[Any], doc: Document, where: Where, *, beside: Iterable[str] = ()) -> dict[str, Any]:
    """The settings written at ``where``, checked; keys in ``beside`` are allowed and left to the caller."""
    written = mapping(doc, where)
    known = {setting.name: setting for setting in settings(cls)}
    only_keys(doc, where, [*known, *beside])
    for setting in known.values():
        if setting.required and setting.name not in written:
            raise doc.error(where, f"{setting.name!r} is missing", setting.help)
    return {name: _read(known[name], doc, (*where, name)) for name in written if name in known}


def _read(setting: Setting, doc: Document, where: Where) -> Any:
    if isinstance(setting.rule, Number):
        return number(setting.rule, doc, where)
    if isinstance(setting.rule, Choice):
        return choice(setting.rule, doc, where)
    return read_section(setting.rule, doc, where)


def mapping(doc: Document, where: Where) -> dict[str, Any]:
    """The mapping at ``where``; raises SpecError where something else stands."""
    value = doc.value(where)
    if not isinstance(value, dict):
        raise doc.error(where, f"a mapping of keys to values is expected here, not {kind_of(value)}")
    return value


def sequence(doc: Document, where: Where) -> list[Any]:
    """The list at ``where``; raises SpecError where something else stands."""
    value = doc.value(where)
    if not isinstance(value, list):
        raise doc.error(where, f"a list is expected here, not {kind_of(value)}")
    return value


def text(doc: Document, where: Where, what: str) -> str:
    """The text at ``where``; raises SpecError for anything else and for a blank one."""
    value = doc.value(where)
    if not isinstance(value, str):
        raise doc.error(where, f"{what} is text, not {kind_of(value)}", "Put it in quotes.")
    if not value.strip():
        raise doc.error(where, f"{what} is empty")
    return value


def only_keys(doc: Document, where: Where, allowed: Iterable[str]) -> None:
    """Refuse keys that are not ``allowed``, naming the nearest one that is."""
    allowed = list(allowed)
    for key in doc.value(where):
        if key not in allowed:
            raise doc.error((*where, key), "this key is not known here.", nearest(key, allowed))


def number(rule: Number, doc: Document, where: Where) -> float | int:
    """The number at ``where`` within the rule's bounds; raises SpecError with the number to write instead."""
    value = doc.value(where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = f"a plain number{_number_of(rule.unit)} is expected, not {kind_of(value)}"
        raise doc.error(where, problem, _number_meant(value, rule.unit))
    if re.match(r"[-+]?0[\d_xXbB]|.*:", doc.texts.get(where, "")):
        problem = f"YAML 1.1 reads {doc.texts[where]} as {value}"
        raise doc.error(where, problem, "Write a plain decimal number.")
    if rule.whole and value != int(value):
        raise doc.error(where, f"a whole number{_number_of(rule.unit)} is expected, not {value:g}")
    within(rule, value, doc, where)
    return int(value) if rule.whole else float(value)


def within(rule: Number, value: float, doc: Document, where: Where) -> None:
    """Raise SpecError where ``value``, which ``where`` stands for, is outside the rule's bounds."""
    shown = doc.texts.get(where) or f"{value:g}"
    if rule.unit == "ratio" and rule.at_most == 1 and 1 < value <= 100:
        raise doc.error(where, f"{shown} is not a share of 1", f"Write {value / 100:.10g}: not a percentage.")
    if rule.above is not None and value <= rule.above:
        raise doc.error(where, f"{shown} is not above {rule.above:g}{_of(rule.unit)}")
    if rule.at_least is not None and value < rule.at_least:
        raise doc.error(where, f"{shown} is below {rule.at_least:g}{_of(rule.unit)}, the least there can be")
    most = 1e12 if rule.at_most is None else rule.at_most
    if value > most:
        raise doc.error(where, f"{shown} is more than {most:g}{_of(rule.unit)}, the most that is allowed")


def _of(unit: str) -> str:
    """How a unit follows a number in a sentence."""
    names = {"s": " seconds", "ms": " milliseconds", "ratio": "", "": ""}
    return names.get(unit, f" {unit}")


def _number_of(unit: str) -> str:
    return " of" + _of(unit) if _of(unit) else ""


def _number_meant(value: object, unit: str) -> str:
    """What to write for ``"2s"``, ``"99.9%"`` or ``1e3``; empty where nothing sensible can be said."""
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    try:
        amount = float(match[1]) if match else None
    except ValueError:
        return ""
    if match is None or amount is None:
        return ""
    suffix = match[2].lower()
    if suffix == "%" and unit == "ratio":
        return f"Write {amount / 100:.10g}: a share of 1, without a unit."
    if suffix in _SECONDS and unit in ("s", "ms"):
        seconds = amount * _SECONDS[suffix]
        meant = f"{seconds * (1000 if unit == 'ms' else 1):.10g}"
        return f"Write {meant}: the unit ({unit}) is part of the key."
    return f"Write {amount:.10g}, without quotes or unit." if not suffix or suffix == unit else ""


def choice(rule: Choice, doc: Document, where: Where) -> str:
    """One of the rule's words; raises SpecError with the nearest one."""
    value = doc.value(where)
    if value not in rule.options:
        shown = repr(value) if isinstance(value, str) else kind_of(value)
        near = close_to(str(value), rule.options, cutoff=0.75)
        raise doc.error(where, f"{shown} is not one of the choices", nearest(near or "", rule.options))
    return str(value)


def nearest(word: str, options: Iterable[str]) -> str:
    """``Did you mean 'x'?`` for a word close to one of the options, else the list of all."""
    options = list(options)
    found = close_to(word, options)
    if found is not None:
        return f"Did you mean {found!r}?"
    return f"Known: {', '.join(options)}." if options else ""


def close_to(word: str, options: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The option that ``word`` is most likely a misspelling of; None where nothing is close."""
    folded = {option.lower().replace("-", "_"): option for option in options}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def kind_of(value: object) -> str:
    """What a value is, in a user's words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, int | float):
        return f"the number {value:g}" if abs(value) < 1e300 else "a number"
    names = {"dict": "a mapping", "list": "a list"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
