"""All faults as a table, made from their classes and docstrings.

python -m drills.faults.catalogue > drills/faults/README.md
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from drills.faults import FAULTS, Fault
from drills.faults.base import Fidelity
from drills.spec import shipped
from drills.spec.model import HookArgument
from drills.spec.rules import Number, nearest

MODULE = "drills.faults"
_WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number"}
_GUESSES = {"region": "primary", "node": "primary/node-1", "a": "primary", "b": "edge,standby"}
_NAMED = {
    "region": "primary or standby",
    "node": "such as primary/node-1",
    "a": "places, comma-separated",
    "b": "places, comma-separated",
    "signal": "such as KILL or TERM",
}


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice, without an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True)
class Argument:
    """One argument of a fault. ``default`` None: it must be given."""

    name: str
    takes: str
    default: str | None


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of one fault.

    ``what`` is what breaks, as what in real life; ``story`` why that matters, ``does`` what is done, both perhaps
    several sentences. ``needs`` names the abilities of a target. ``fidelity`` None: it depends on the target.
    ``example`` holds the steps of a drill's method.
    """

    name: str
    what: str
    story: str
    does: str
    arguments: tuple[Argument, ...]
    needs: tuple[str, ...]
    fidelity: Fidelity | None
    example: tuple[dict[str, Any], ...]

    @property
    def module(self) -> str:
        return f"{MODULE}.{self.name}"

    @property
    def yaml(self) -> str:
        """The example as it stands in a drill file's ``method``."""
        return yaml.dump(list(self.example), Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True)

    @property
    def example_arguments(self) -> dict[str, Any]:
        given: dict[str, Any] = self.example[0]["provider"].get("arguments", {})
        return given


def entries() -> list[Entry]:
    """All faults, in the order of ``FAULTS``."""
    return [_entry(kind) for kind in FAULTS.values()]


def entry(name: str) -> Entry:
    """The fault of that name; raises LookupError with the nearest one."""
    if name not in FAULTS:
        raise LookupError(f"no fault is called {name}. {nearest(name, FAULTS)}")
    return _entry(FAULTS[name])


def _entry(kind: type[Fault]) -> Entry:
    what, _, story = (inspect.getdoc(importlib.import_module(kind.__module__)) or "").partition("\n\n")
    steps = _example(kind)
    given = steps[0]["provider"].get("arguments", {})
    return Entry(
        name=kind.name,
        what=_one_line(what),
        story=_one_line(story),
        does=_one_line(inspect.getdoc(kind) or ""),
        arguments=tuple(_arguments(kind)),
        needs=tuple(need.__name__ for need in kind.needs),
        fidelity=_fidelity(kind, given),
        example=steps,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _arguments(kind: type[Any]) -> Iterator[Argument]:
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        given = field.default is not dataclasses.MISSING
        takes = _takes(hints[field.name])
        if takes == _WORDS[str]:
            takes = _NAMED.get(field.name, takes)
        yield Argument(field.name, takes, _shown(field.default) if given else None)


def _takes(hint: Any) -> str:
    """``str`` -> ``text``; a choice is listed, a number has its unit and bounds."""
    rule = getattr(hint, "__metadata__", (None,))[0]
    if isinstance(rule, Number):
        bounds = {"at least": rule.at_least, "above": rule.above, "at most": rule.at_most}
        return ", ".join(
            [rule.unit or "number", *(f"{side} {end:g}" for side, end in bounds.items() if end is not None)]
        )
    if get_origin(hint) is Literal:
        return " or ".join(str(choice) for choice in get_args(hint))
    if _is_hook(hint):
        return "a command or a provider"
    return " or ".join(_WORDS.get(one, str(one)) for one in _kinds(hint) if one is not type(None))


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is UnionType else (hint,)


def _is_hook(hint: Any) -> bool:
    return any(isinstance(one, type) and issubclass(one, HookArgument) for one in _kinds(hint))


def _shown(default: Any) -> str:
    if default is None or default == "":
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


class _Nobody:
    """A target that nothing is known of."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


def _fidelity(kind: Any, example: Mapping[str, Any]) -> Fidelity | None:
    """As it is with nothing but defaults, where that makes sense; None where it takes a target to tell."""
    given = {name: _GUESSES.get(name, example.get(name)) for name in _needed(kind)}
    trouble = getattr(kind, "trouble", None)
    try:
        found: Fidelity = kind(**(example if trouble and trouble(given) else given)).fidelity(_Nobody())
    except LookupError:
        return None
    return found


def _needed(kind: Any) -> list[str]:
    """The names of the arguments that have no default."""
    return [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]


def _example(kind: type[Fault]) -> tuple[dict[str, Any], ...]:
    """Its steps in the first drill that comes with recdr and uses it, else what the arguments' names suggest."""
    for document in _drills():
        steps = [step["provider"] | {"step": step} for step in document["method"] if _module(step) == _module_of(kind)]
        given = steps[0].get("arguments") if steps else None
        own = tuple(found["step"] for found in steps if found.get("arguments") == given)
        if own and "${" not in str(own):
            return own
    given = {name: _GUESSES.get(name, "...") for name in _needed(kind)}
    return tuple(_step(kind.name, func, given) for func in ("inject", "heal"))


def _module_of(kind: type[Fault]) -> str:
    return f"{MODULE}.{kind.name}"


def _module(step: Mapping[str, Any]) -> str:
    return str(step.get("provider", {}).get("module"))


def _step(name: str, func: str, given: dict[str, Any]) -> dict[str, Any]:
    provider = {"type": "python", "module": f"{MODULE}.{name}", "func": func, "arguments": dict(given)}
    return {"type": "action", "name": f"{func}-{name.replace('_', '-')}", "provider": provider, "pauses": {"after": 10}}


@cache
def _drills() -> list[dict[str, Any]]:
    paths, found = shipped(), []
    beside = [paths[0].parent / "external" / "external.yaml"] if paths else []
    for path in (*paths, *beside):
        with contextlib.suppress(OSError, yaml.YAMLError):  # whoever runs that drill is told what is wrong with it
            found.append(yaml.safe_load(path.read_text()))
    return found


_DEPENDS = ("real or simulated", "depends on the target and the arguments: `recdr drill plan` says it", "the same")


def markdown() -> str:
    """``drills/faults/README.md``."""
    rows = "\n".join(_row(one) for one in entries())
    return f"""# The fault catalogue

Made from the faults' own docstrings by `python -m drills.faults.catalogue > drills/faults/README.md`; a test compares
the two. `recdr drill faults` prints it too, and `recdr drill faults NAME` explains one, with steps to paste into a
drill and what this host lacks for it. How to write another: [docs/writing-a-fault.md](../../docs/writing-a-fault.md).

A drill names a fault by its module, `drills.faults.NAME`, with the functions `inject` and `heal`, which take the same
arguments. *Needs* are the abilities that a target must have (`drills/targets/base.py`): recdr's own lab has them all
unless its host lacks something, a service that recdr did not deploy has none.

| fault | what breaks | arguments (default) | needs | fidelity | surviving it shows | it does not show |
|---|---|---|---|---|---|---|
{rows}
"""


def _row(one: Entry) -> str:
    arguments = "; ".join(
        f"`{a.name}`: {a.takes}" + ("" if a.default is None else f" ({a.default})") for a in one.arguments
    )
    cells = [
        f"`{one.name}`",
        one.what,
        arguments or "none",
        ", ".join(one.needs) or "nothing",
        *(_DEPENDS if one.fidelity is None else dataclasses.astuple(one.fidelity)),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
