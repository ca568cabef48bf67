"""``recdr``: every command group in one place, and what happens when a command fails."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from drills.cli import (
    baseline,
    calibrate,
    diff,
    doctor,
    drill,
    history,
    lab,
    model,
    notify,
    postmortem,
    report,
    schedule,
)
from drills.cli.terminal import complain
from drills.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_USAGE, RecdrError
from drills.privacy import redacted

app = typer.Typer(
    name="recdr",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Disaster-recovery drills for GPU recommender services: deploy two regions, break one on purpose, "
    "measure what users saw, judge it, heal it, report it.",
    epilog="Start with [bold]recdr drill run failover.yaml[/bold]. "
    "Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 UNKNOWN, 70 a bug in recdr, 130 interrupted (healed first).",
)
drill.app.command("diff")(diff.diff)
app.add_typer(drill.app, name="drill")
app.add_typer(baseline.app, name="baseline")
report.app.command("postmortem")(postmortem.postmortem)
app.add_typer(report.app, name="report")
app.add_typer(notify.app, name="notify")
app.command("history")(history.show)
app.command("schedule")(schedule.make)
app.add_typer(model.app, name="model")
app.command("up")(lab.up)
app.command("status")(lab.status)
app.command("down")(lab.down)
app.command("calibrate")(calibrate.calibrate)
app.command("doctor")(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"recdr {installed_version('recdr')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Common to all commands."""


def main() -> None:
    """Run a command; every error is printed once and ends with its exit code."""
    try:
        app()
    except RecdrError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EIO:  # the terminal was closed
            sys.exit(EXIT_INTERRUPTED)
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            _bug()
        complain(f"{error.filename or 'the disk'}: {error.strerror}")
        sys.exit(EXIT_USAGE)
    except Exception:
        _bug()


def _bug() -> None:
    sys.stderr.write(redacted(traceback.format_exc()))
    complain("this is a bug in recdr, not in your drill: please report it with the lines above")
    sys.exit(EXIT_BUG)
