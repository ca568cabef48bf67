"""``recdr drill faults``: the catalogue, or one fault explained."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from drills.cli.arguments import AsJson
from drills.cli.terminal import OUT
from drills.errors import UsageError
from drills.faults import FAULTS, catalogue
from drills.faults.catalogue import Entry
from drills.targets.opening import needs_with
from drills.targets.registry import KINDS


def _complete(incomplete: str) -> list[str]:
    return [name for name in FAULTS if name.startswith(incomplete)]


def faults(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[FAULT]", help="A fault, such as region_loss; default: all of them.", autocompletion=_complete
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the faults that drills can inject, or explain one of them with steps to paste into a drill.

    Says also what the targets, and this host, lack for it.
    """
    try:
        found = [catalogue.entry(name)] if name else catalogue.entries()
    except LookupError as error:
        raise UsageError(str(error.args[0])) from None
    if as_json:
        OUT.print_json(json.dumps([_document(one) for one in found]))
    elif name:
        _explain(found[0])
    else:
        _list(found)


def _lacks(one: Entry) -> dict[str, str]:
    """Target kind -> why this fault, as in its example, cannot be injected there; only those where it cannot."""
    told = {}
    for kind, target in KINDS.items():
        for need in needs_with(one.name, one.example_arguments):
            missing = [method for method in vars(need) if not method.startswith("_") and not hasattr(target, method)]
            why = f"it is not {need.__name__} (no {', '.join(missing)})" if missing else target.lacks(need)
            if why:
                told[kind] = why
                break
    return told


def _document(one: Entry) -> dict[str, Any]:
    return {
        "name": one.name,
        "module": one.module,
        "what": one.what,
        "story": one.story,
        "does": one.does,
        "arguments": [dataclasses.asdict(argument) for argument in one.arguments],
        "needs": list(one.needs),
        "fidelity": None if one.fidelity is None else dataclasses.asdict(one.fidelity),
        "example": list(one.example),
        "lacks": _lacks(one),
    }


def _list(found: list[Entry]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("fault", "what breaks", "arguments"):
        table.add_column(column, overflow="fold")
    for one in found:
        lacking = _lacks(one).get("local")
        what = Text.assemble(one.what, (f"\nnot here: {lacking}", "yellow") if lacking else "")
        table.add_row(one.name, what, ", ".join(argument.name for argument in one.arguments))
    OUT.print(table)
    OUT.print(Text("\n'recdr drill faults NAME' explains one, with steps to paste into a drill.", "dim"))


def _explain(one: Entry) -> None:
    OUT.print(Text.assemble((one.name, "bold"), f": {one.what}"))
    for words in (one.story, one.does):
        if words:
            OUT.print(Text("\n" + words.replace("``", "'")))
    OUT.print(Text("\nArguments", "bold"))
    for argument in one.arguments:
        default = "must be given" if argument.default is None else f"default: {argument.default}"
        OUT.print(Text(f"  {argument.name}: {argument.takes} ({default})"))
    if not one.arguments:
        OUT.print("  none")
    OUT.print(Text("\nWhat it shows", "bold"))
    for line in _shows(one):
        OUT.print(Text(f"  {line}"))
    OUT.print(Text("\nWhere", "bold"))
    lacks = _lacks(one)
    for kind in KINDS:
        OUT.print(Text(f"  {kind}: " + (f"not here: {lacks[kind]}" if kind in lacks else "yes")))
    OUT.print(Text("\nIn a drill's method", "bold"))
    OUT.print(Text(one.yaml), soft_wrap=True)


def _shows(one: Entry) -> list[str]:
    if one.fidelity is None:
        return ["real or simulated: the target and the arguments decide; 'recdr drill plan' says it for a drill"]
    return [
        f"fidelity: {one.fidelity.kind}",
        f"surviving it shows: {one.fidelity.certifies}",
        f"it does not show: {one.fidelity.does_not_certify}",
    ]
