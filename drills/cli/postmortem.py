"""``recdr report postmortem``: the part of a report that people write."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Annotated

import typer

import reports
from drills.cli.arguments import RunName
from drills.cli.terminal import ERR, OUT, complain
from drills.errors import UsageError
from drills.home import home
from drills.recording import rundir


def postmortem(
    name: RunName = None,
    edit: Annotated[
        bool, typer.Option("--edit", "-e", help="Open it in $VISUAL or $EDITOR before it is checked.")
    ] = False,
) -> None:
    """Begin a run's post-mortem, or check it and put it into the report.

    The first time it creates postmortem.yaml in the run's directory, with
    what the record says: impact, contributing factors, what went well, and
    actions that want an owner and a date. Edit it with anything. recdr never
    overwrites it: it stays when the run is judged or reported again.

    [bold]recdr report postmortem[/bold]   of the latest run: create the file, print its path

    [bold]recdr report postmortem RUN --edit[/bold]   write it now, and see it in the report

    [bold]$EDITOR $(recdr report postmortem RUN)[/bold]   the same by hand; afterwards: recdr report build RUN

    Exits 2 with file, line and key where it cannot be read.
    """
    from reports import draft, reading  # noqa: PLC0415 - as in reports.build: takes most of a second
    from reports import postmortem as written  # noqa: PLC0415

    run = rundir.find(home() / "runs", name)
    path = run.path / written.NAME
    if not path.exists():
        _create(path, draft.draft(reading.read(run.path)))
        ERR.print("Created. Fill it in; recdr will not change it.", soft_wrap=True)
    if edit:
        _open(path)
    written.read(path)
    reports.build(run.path)
    OUT.print(str(path), soft_wrap=True)


def _create(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:  # somebody else began it just now, or it is a link to nowhere: it is theirs
        raise UsageError(f"{path} is there, but cannot be written: look at what it is") from None


def _open(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageError(f"neither VISUAL nor EDITOR names an editor: export EDITOR=nano, or edit {path} yourself")
    try:
        ended = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"the editor {editor} cannot be started ({error}); edit {path} yourself") from error
    if ended.returncode:
        raise UsageError(f"{editor} ended with {ended.returncode}; {path} is as it left it")


def complain_of(run: Path) -> None:
    """Say on stderr why a run's post-mortem is not in its report; nothing where it is, or where there is none."""
    from reports import postmortem as written  # noqa: PLC0415

    if problem := written.load(run).problem:
        complain(f"{problem} The report was built without it.")
