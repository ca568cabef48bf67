"""``recdr notify``: try who would be told of a drill, and tell them of a recorded run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from drills import spec
from drills.cli.arguments import DrillNames, RunName
from drills.cli.terminal import ERR, OUT
from drills.errors import EXIT_UNKNOWN, UsageError
from drills.home import home
from drills.notify import destinations, link, sending, telling
from drills.notify.destinations import Destinations
from drills.notify.sending import Delivery
from drills.recording import rundir

app = typer.Typer(
    no_args_is_help=True,
    help="Tell people what came of drills: Slack, Teams, e-mail, webhooks and a hundred others.\n\n"
    "An address holds a secret, so it lives in an environment variable and nowhere else: [bold]RECDR_NOTIFY[/bold] for "
    "all drills on this machine, [bold]RECDR_NOTIFY_SOMETHING[/bold] for drills that name it under "
    "[bold]notify[/bold]. docs/outward.md has addresses to copy.",
)
ReportUrl = Annotated[
    str | None,
    typer.Option(
        "--report-url",
        metavar="URL",
        envvar=link.VARIABLE,
        help="Where the report will be read, for messages: https://reports.example.com/{run}/report.html",
    ),
]


def say(line: str) -> None:
    """One line on the terminal about who was told, or not."""
    ERR.print(Text(line, "yellow" if line.startswith(("NOT", "nobody")) else ""), soft_wrap=True)


@app.command()
def test(names: DrillNames = None) -> None:
    """Send a message, marked as a test, to RECDR_NOTIFY and to all that the named drills would tell.

    [bold]read -rs RECDR_NOTIFY; export RECDR_NOTIFY[/bold]   an address, kept out of the shell's history

    [bold]recdr notify test[/bold]   the addresses of this machine

    [bold]recdr notify test mine.yaml[/bold]   and those that a drill would tell

    Exits 0 if all were told, 3 if one was not, 2 if there is nobody to tell or an address is not understood.
    """
    found = _destinations(names or [])
    _report(telling.send_test(found), found)


@app.command()
def send(name: RunName = None, report_url: ReportUrl = None) -> None:
    """Tell of a recorded run what would have been told at its end, whatever its verdict.

    [bold]recdr notify send --report-url 'https://reports.example.com/{run}/report.html'[/bold]   the latest run

    Exits 0 if all were told, 3 if one was not, 2 if there is nobody to tell.
    """
    if report_url is not None:
        link.check(report_url)
    run = rundir.find(home() / "runs", name)
    drill = spec.load(run.drill, recorded=True)
    found = _destinations([str(run.drill)], recorded=True)
    _report(telling.of_run(run, drill, found, report_url), found)


def _destinations(names: Sequence[str], *, recorded: bool = False) -> Destinations:
    drills = [spec.load(Path(name) if recorded else spec.find(name), recorded=recorded) for name in names]
    there = sorted(name for name in os.environ if name.startswith(f"{destinations.MACHINE}_"))
    found = destinations.take(drills)
    if not found.found:
        missing = f"{', '.join(found.unset)} is not set" if found.unset else "RECDR_NOTIFY is not set"
        others = f". Set is: {', '.join(there)}; name a drill that tells by it" if there and not found.unset else ""
        raise UsageError(f"there is nobody to tell: {missing}{others}")
    sending.check(found)
    return found


def _report(deliveries: Sequence[Delivery], found: Destinations) -> None:
    for one in deliveries:
        OUT.print(Text(one.line, "green" if one.sent else "bold red"), soft_wrap=True)
    for variable in found.unset:
        OUT.print(Text(f"NOT told {variable}: it is not set", "bold red"), soft_wrap=True)
    if found.unset or not all(one.sent for one in deliveries):
        raise typer.Exit(EXIT_UNKNOWN)
