"""``recdr report``: pages about recorded runs: about one, two or all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import reports
from drills import printing
from drills.cli.arguments import complete_run
from drills.cli.diff import RUN_HELP, Anyway, compared
from drills.cli.metrics import metrics
from drills.cli.postmortem import complain_of
from drills.cli.spans import spans
from drills.cli.terminal import OUT
from drills.errors import UsageError
from drills.history import Row, history, read
from drills.home import home
from drills.recording import rundir
from reports import cleaning, suites

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
    pdf: Annotated[
        bool,
        typer.Option(
            "--pdf", help="Also print report.html as report.pdf (A4), by an installed Chromium, Chrome or Edge."
        ),
    ] = False,
) -> None:
    """Write report.html, junit.xml and summary.md of a run again, from its directory alone; of a suite the last two.

    A run that failed, was interrupted or killed has a report, too: it says what is known and what is missing.

    [bold]recdr report build[/bold]   of the latest run

    [bold]recdr report build 20261122-100738 --pdf[/bold]   and report.pdf; CHROMIUM names a browser off the PATH
    """
    if name and (Path(name) / "suite.json").is_file():
        if pdf:
            raise UsageError("--pdf prints the report of one run: name a run, not a suite")
        try:
            paths = reports.build_suite(Path(name))
        except ValueError as error:
            raise UsageError(f"{name}/suite.json cannot be read: {error}") from error
    else:
        run = rundir.find(home() / "runs", name, unfinished=True).path
        paths = reports.build(run)
        complain_of(run)
    for path in paths.values():
        OUT.print(str(path), soft_wrap=True)
    if pdf:
        printed = paths["report.html"].with_suffix(".pdf")
        printing.to_pdf(paths["report.html"], printed)
        OUT.print(str(printed), soft_wrap=True)


@app.command()
def index(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]", help="A folder of runs, or a suite's directory; default: .recdr/runs.", file_okay=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the page goes; default: index.html there.", dir_okay=False),
    ] = None,
) -> None:
    """Write a page over all runs: per drill the last verdict, how steady it is, and where each measure goes.

    One file that opens offline; its links to the runs' reports are relative, so the folder can be moved or served as
    it is. Directories that are no whole run are listed with what is wrong with them.

    [bold]recdr report index[/bold]   .recdr/runs/index.html

    [bold]recdr report index .recdr/suites/20261122-100734-nightly-1f62[/bold]   the runs of one suite

    [bold]recdr report index --out public/index.html[/bold]   elsewhere; links lead back to the runs
    """
    runs = folder or home() / "runs"
    if not runs.is_dir():
        raise UsageError(f"{runs} is no folder of runs: 'recdr drill run failover.yaml' makes the first one")
    rows, title = _of_suite(runs) if (runs / "suite.json").is_file() else _of_folder(runs)
    written = reports.build_index(rows, out or runs / "index.html", title)
    OUT.print(str(written), soft_wrap=True)


@app.command()
def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help=RUN_HELP, autocompletion=complete_run)],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help=RUN_HELP, autocompletion=complete_run)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where the page goes; default: .recdr/comparisons/A--B.html.", dir_okay=False
        ),
    ] = None,
    anyway: Anyway = False,
) -> None:
    """Write a page with two runs side by side: measures, timelines on the same axes, phases, drill file, environment.

    Whether a difference is real is said by the test of 'recdr drill diff', which needs several trials in each run.

    [bold]recdr report compare 20261122-100738 20261123-100712[/bold]   beginnings of ids are enough

    [bold]recdr report compare runs/a runs/b --out a-and-b.html[/bold]   directories, and a file of your own
    """
    runs, warnings, result = compared(run_a, run_b, anyway=anyway)
    page = out or home() / "comparisons" / f"{runs[0].id}--{runs[1].id}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    written = reports.build_comparison(runs[0].path, runs[1].path, result, warnings, page)
    OUT.print(str(written), soft_wrap=True)


def _of_folder(runs: Path) -> tuple[list[tuple[Path, Row]], str]:
    return [(runs / row.run, row) for row in history(runs)], "All runs"


def _of_suite(folder: Path) -> tuple[list[tuple[Path, Row]], str]:
    """The runs that a suite names, the latest first."""
    try:
        suite = suites.read(folder)
    except ValueError as error:
        raise UsageError(f"{folder}/suite.json cannot be read: {error}") from error
    entries = map(cleaning.mapping, cleaning.sequence(suite.get("drills")))
    named = [folder / run for entry in entries if isinstance(run := entry.get("run_dir"), str)]
    paths = sorted({path.resolve() for path in named}, key=lambda path: path.name, reverse=True)
    return [(path, read(path)) for path in paths], f"Suite {cleaning.text(suite.get('suite'))}"


app.command()(metrics)
app.command()(spans)
