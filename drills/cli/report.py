"""``recdr report``: rebuild the report of a recorded run."""

from __future__ import annotations

from typing import Annotated

import typer

import reports
from drills.cli.terminal import OUT
from drills.home import home
from drills.recording import rundir

app = typer.Typer(no_args_is_help=True, help="Reports of recorded runs.")


@app.command()
def build(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id, its beginning, or its directory; default: the latest."),
    ] = None,
) -> None:
    """Write report.html, junit.xml and summary.md of a run again, from its directory alone."""
    for path in reports.build(rundir.find(home() / "runs", name).path).values():
        OUT.print(str(path), soft_wrap=True)
