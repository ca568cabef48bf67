"""Progress of what is no drill: a bar a stage on a terminal, a line a stage elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display

from drills.cli.terminal import ERR, Lines
from drills.model import Progress


@contextlib.contextmanager
def bars(quiet: bool = False, console: Console = ERR) -> Iterator[Progress]:
    """Show what ``progress`` is told for as long as the context is open; ``quiet``: lines even on a terminal."""
    if quiet or not console.is_terminal:
        yield Lines(console).progress
        return
    columns = (
        TextColumn("{task.fields[stage]:>9}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Display(*columns, console=console) as display:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: float | None = None, total: float | None = None) -> None:
            stage, _, message = what.partition(": ")
            if stage not in tasks:
                tasks[stage] = display.add_task("", total=total, stage=stage)
            display.update(tasks[stage], completed=done or 0, total=total, description=escape(message))

        yield show
