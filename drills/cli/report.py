"""``recdr report``: rebuild the report of a recorded run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import reports
from drills.cli.arguments import complete_run
from drills.cli.postmortem import complain_of
from drills.cli.terminal import OUT
from drills.errors import UsageError
from drills.home import home
from drills.recording import rundir

app = typer.Typer(no_args_is_help=True, help="Reports of recorded runs.")


@app.command()
def build(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run's id, its beginning, or its directory, or a suite's directory; default: the latest run.",
            autocompletion=complete_run,
        ),
    ] = None,
) -> None:
    """Write report.html, junit.xml and summary.md of a run again, from its directory alone; of a suite the last two."""
    if name and (Path(name) / "suite.json").is_file():
        try:
            paths = reports.build_suite(Path(name))
        except ValueError as error:
            raise UsageError(f"{name}/suite.json cannot be read: {error}") from error
    else:
        run = rundir.find(home() / "runs", name).path
        paths = reports.build(run)
        complain_of(run)
    for path in paths.values():
        OUT.print(str(path), soft_wrap=True)
