"""``recdr doctor``: what this machine allows, and how to allow what is missing."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from drills.cli.terminal import OUT
from drills.errors import EXIT_USAGE
from drills.targets.local.doctor import checks


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document on stdout.")] = False,
) -> None:
    """Try everything a local lab needs and say how to allow what is missing; exits 2 if a lab cannot run here."""
    found = list(checks())
    able = all(check.ok for check in found if check.needed)
    if as_json:
        OUT.print_json(json.dumps({"able": able, "checks": [dataclasses.asdict(check) for check in found]}))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for check in found:
            mark = Text("ok", "green") if check.ok else Text("missing", "bold red" if check.needed else "yellow")
            table.add_row(mark, check.name, check.found)
            if not check.ok and check.remedy:
                table.add_row("", "", Text(f"-> {check.remedy}", "bold" if check.needed else "dim"))
        OUT.print(table)
        OUT.print("A lab can run here." if able else "A lab cannot run here yet.")
    if not able:
        raise typer.Exit(EXIT_USAGE)
