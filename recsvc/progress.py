"""Progress as bars for people, on stderr. Programs get the JSON lines of `recsvc.commands` instead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display

from recsvc.recipe import Progress


@contextlib.contextmanager
def bars() -> Iterator[Progress]:
    """Show one bar a stage for as long as the context is open."""
    columns = (
        TextColumn("{task.fields[stage]:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Display(*columns, console=Console(stderr=True)) as display:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int, message: str) -> None:
            if stage not in tasks:
                tasks[stage] = display.add_task(message, total=total, stage=stage)
            display.update(tasks[stage], completed=done, total=total, description=message)

        yield show
