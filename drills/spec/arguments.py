"""The arguments of a fault, held against the fault's own fields and against what the topology has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from drills.spec.audience import Beside
from drills.spec.document import Document, Where
from drills.spec.hooks import read_hook
from drills.spec.model import HookArgument, Topology
from drills.spec.rules import Number, kind_of, mapping, nearest, number, only_keys, within
from drills.spec.substitution import Unknown, substitute

REGIONS = ("primary", "standby")
SITES = ("edge", *REGIONS)
LAYERS = ("auto", "context", "hidden", "simulated")
SIGNALS = ("KILL", "TERM", "INT", "QUIT", "ABRT", "SEGV", "BUS", "HUP")
"""Those that end a process: after others nothing would be broken."""


def nodes(topology: Topology) -> list[str]:
    """The names of all nodes."""
    sizes = {"primary": topology.primary.nodes, "standby": topology.standby.nodes}
    return [f"{region}/node-{i + 1}" for region, size in sizes.items() for i in range(size)]


def places(topology: Topology) -> list[str]:
    """Everything that a partition can cut off: sites, nodes and stores."""
    return [*SITES, *nodes(topology), *(f"{region}/store" for region in REGIONS)]


def read_arguments(
    doc: Document, provider: Where, fault: type[Any], topology: Topology, names: Mapping[str, Any]
) -> dict[str, Any]:
    """The fault's arguments after substitution, defaults included; raises SpecError for one that is wrong.

    An argument that depends on what only the running machine knows stays as written.
    """
    where = (*provider, "arguments")
    written = mapping(doc, where) if "arguments" in doc.value(provider) else {}
    fields = {field.name: field for field in dataclasses.fields(fault)}
    if written:
        _refuse_unknown(doc, where, list(fields))
    values = {name: field.default for name, field in fields.items()}
    hints = get_type_hints(fault, include_extras=True)
    for name in fields:
        if name in written:
            values[name] = _argument(doc, (*where, name), hints[name], topology, names)
        elif values[name] is dataclasses.MISSING:
            remedy = "It takes " + ", ".join(f"{field}{_example(field, topology)}" for field in fields) + "."
            raise doc.error(where, f"the argument {name!r} is missing.", remedy)
    _check_together(doc, provider, fault, values, topology)
    if {"a", "b"} <= fields.keys():
        _check_sides(doc, where, values["a"], values["b"])
    trouble = getattr(fault, "trouble", None)
    if trouble and "$" not in str(values) and (problem := trouble(values)):
        raise doc.error(where, problem)
    return values


def _check_together(
    doc: Document, provider: Where, fault: type[Any], values: Mapping[str, Any], topology: Topology
) -> None:
    """Let a fault that has something to say about its arguments together (``misfit``) say it, once all are known."""
    if not hasattr(fault, "misfit") or any(isinstance(value, str) and "$" in value for value in values.values()):
        return
    regions = {region: [n for n in nodes(topology) if n.startswith(f"{region}/")] for region in REGIONS}
    if wrong := fault.misfit(values, regions):
        name, problem, remedy = wrong
        written = doc.value(provider).get("arguments", {})
        where = (*provider, "arguments", name) if name in written else provider
        raise doc.error(where, problem, remedy)


def _refuse_unknown(doc: Document, where: Where, fields: list[str]) -> None:
    if not fields:
        key = next(iter(doc.value(where)))
        raise doc.error((*where, key), "this fault takes no arguments", "Remove it.")
    only_keys(doc, where, fields)


def _example(name: str, topology: Topology) -> str:
    options = _options(name, topology)
    return f" (such as {options[0]})" if options else ""


def _argument(doc: Document, where: Where, hint: Any, topology: Topology, names: Mapping[str, Any]) -> Any:
    if any(isinstance(kind, type) and issubclass(kind, HookArgument) for kind in (hint, *get_args(hint))):
        read_hook(doc, where, Beside(doc.path.parent, looked_up=False))
        return substitute(doc.value(where), _AsWritten(names))
    written = doc.value(where)
    value = substituted(doc, where, names)
    if isinstance(value, Unknown):
        return written
    origin = " (from the configuration)" if value != written else ""
    if isinstance(rule := getattr(hint, "__metadata__", (None,))[0], Number):
        if value == written:
            return number(rule, doc, where)
        _check_type(doc, where, get_args(hint)[0], value, origin)
        within(rule, value, doc, where)
        return float(value)
    _check_type(doc, where, hint, value, origin)
    options = list(get_args(hint)) if get_origin(hint) is Literal else _options(str(where[-1]), topology)
    _check_option(doc, where, value, options, origin)
    return value


class _AsWritten(dict[str, Any]):
    """Names that nothing defines stay: in a command they may well be the shell's own."""

    def __missing__(self, name: str) -> str:
        return f"${{{name}}}"


def substituted(doc: Document, where: Where, names: Mapping[str, Any]) -> Any:
    """The value at ``where`` after substitution; raises SpecError for a name that nothing defines."""
    try:
        return substitute(doc.value(where), names)
    except KeyError as missing:
        name = str(missing.args[0])
        problem = f"${{{name}}} is not in the experiment's configuration."
        raise doc.error(where, problem, nearest(name, names)) from None


def _check_type(doc: Document, where: Where, hint: Any, value: Any, origin: str) -> None:
    types = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    expected = str if get_origin(hint) is Literal else hint
    if expected not in types or (expected is float and type(value) is int):
        return
    if type(value) is not expected:
        remedy = ""
        if isinstance(value, list) and expected is str and all(isinstance(item, str) for item in value):
            remedy = f"Write {','.join(value)!r}."
        raise doc.error(where, f"{types[expected]} is expected, not {kind_of(value)}{origin}.", remedy)


def _check_option(doc: Document, where: Where, value: Any, options: list[str], origin: str) -> None:
    name = where[-1]
    side = name in ("a", "b")
    for word in _sides(value) if side else [value]:
        if options and word not in options:
            problem = f"there is no {'place' if side else name} {word!r} in this drill{origin}."
            raise doc.error(where, problem, nearest(word, options))


def _options(name: str, topology: Topology) -> list[str]:
    """What an argument of this name may be, the same in all faults; empty where the name does not say."""
    if name in ("a", "b"):
        return places(topology)
    if name == "node":
        return nodes(topology)
    return list({"region": REGIONS, "layer": LAYERS, "signal": SIGNALS}.get(name, ()))


def _sides(value: str) -> list[str]:
    return [place.strip() for place in value.split(",")]


def _check_sides(doc: Document, where: Where, a: Any, b: Any) -> None:
    """The two sides of a partition must have nothing in common: no place can be cut off from itself."""
    if "$" in f"{a}{b}":
        return
    for one in _sides(a):
        for other in _sides(b):
            if one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/"):
                problem = f"{one!r} cannot be cut off from {other!r}: one is part of the other"
                raise doc.error((*where, "b"), problem, "Sides a and b must not overlap.")
