"""``recdr history``: the runs of this folder, and whether their measures move."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from drills.cli.terminal import ERR, OUT, STYLES, measured
from drills.errors import UsageError
from drills.history import BETTER, WORSE, Row, drills_in, history
from drills.home import home

ARROWS = {BETTER: ("+", "green"), WORSE: ("-", "red")}


def _complete(incomplete: str) -> list[str]:
    return [name for name in drills_in(home() / "runs") if name.startswith(incomplete)]


def show(
    drill: Annotated[
        str | None,
        typer.Argument(
            metavar="[DRILL]", help="Only runs of this drill, one column a measure.", autocompletion=_complete
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many runs, the latest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document on stdout.")] = False,
) -> None:
    """List the runs in .recdr/runs: each run's outcome, its trials (n), and the measures that its objectives ask for.

    A + or - behind a value: better or worse than in that drill's run before; 'recdr drill diff A B' tests it.

    Directories that are no whole run are listed with what is wrong with them.
    """
    runs = home() / "runs"
    rows = history(runs, drill, limit)
    if drill is not None and not rows:
        raise UsageError(
            f"no run of {drill} in {runs}: there are runs of {', '.join(drills_in(runs)) or 'nothing yet'}"
        )
    if as_json:
        OUT.print_json(json.dumps([dataclasses.asdict(row) for row in rows]))
        return
    if not rows:
        ERR.print(f"no runs in {runs} yet: start with 'recdr drill run failover.yaml'", soft_wrap=True)
        return
    OUT.print(_table(rows, apart=len({row.drill for row in rows if row.outcome}) == 1))


def _table(rows: list[Row], *, apart: bool) -> Table:
    """``apart``: all rows are of one drill, so that each measure gets a column of its own."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures)) if apart else ["measures (worst)"]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("run", "outcome", "n", *names, ""):
        heading = name.replace("_", "_\n") if apart else name  # or long names would break anywhere
        table.add_column(
            heading, overflow="fold", no_wrap=name in ("when", "run", "outcome")
        )  # ids are there to be copied
    for row in rows:
        if row.problem is not None:
            table.add_row(row.run, Text("no verdict", "dim"), "", Text(row.problem, "dim"))
            continue
        cells = [_cell(row.measures.get(name)) for name in names] if apart else [_together(row)]
        outcome = Text(row.outcome or "", STYLES.get(row.outcome or "", ""))
        table.add_row(row.run, outcome, _shown(row.trials), *cells, _baseline(row))
    return table


def _cell(entry: dict[str, Any] | None) -> Text:
    if entry is None:
        return Text("")
    text = Text(measured(entry), "red" if entry["outcome"] == "FAIL" else "")
    if entry["trend"] in ARROWS:
        sign, style = ARROWS[entry["trend"]]
        text.append(f" {sign}", style)
    return text


def _together(row: Row) -> Text:
    return Text(", ").join(Text(f"{name} ").append_text(_cell(entry)) for name, entry in row.measures.items())


def _baseline(row: Row) -> Text:
    if row.baseline is None:
        return Text("no baseline", "dim")
    return Text("") if row.same_host is not False else Text("another host's baseline", "yellow")


def _shown(value: int | None) -> str:
    return "" if value is None else str(value)
