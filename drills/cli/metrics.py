"""``recdr report metrics``: recorded runs as metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from drills.cli.arguments import complete_run
from drills.cli.output import put
from drills.cli.terminal import ERR
from drills.errors import UsageError
from drills.home import home
from drills.recording import rundir


class Format(StrEnum):
    """The formats of metrics."""

    OPENMETRICS = "openmetrics"
    PROMETHEUS = "prometheus"


def metrics(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs' ids, their beginnings, or directories, or a suite's directory; default: the latest run.",
            autocompletion=complete_run,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write them there, whole or not at all; default: stdout.", dir_okay=False
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="openmetrics: with times; prometheus: without, for node_exporter and Pushgateway."
        ),
    ] = Format.OPENMETRICS,
) -> None:
    """Print verdict, measures, bounds, margins and phases of a run as metrics. What was not observed has no sample.

    [bold]recdr report metrics --format prometheus --out /var/lib/node_exporter/recdr.prom[/bold]   for node_exporter

    [bold]recdr report metrics | curl --data-binary @- ...[/bold]   docs/outward.md says where to

    [bold]recdr report metrics .recdr/runs/* --out all.om[/bold]   for promtool tsdb create-blocks-from
    """
    from reports import metrics as rendering  # noqa: PLC0415 - reading runs takes long to import
    from reports import reading  # noqa: PLC0415

    runs = [path for name in names or [""] for path in _runs(name, alone=len(names or []) < 2)]
    put(rendering.render([reading.read(path) for path in dict.fromkeys(runs)], form.value), out)


def _runs(name: str, *, alone: bool) -> Iterator[Path]:
    """The run directories that a name means: one, or those of a suite; the latest where there is no name.

    Of several (``runs/*``) a directory of a run that ended before anything was deployed is left out.
    """
    folder = Path(name) if name else None
    if folder is not None and (folder / "suite.json").is_file():
        yield from _of_suite(folder)
    elif folder is not None and folder.is_dir() and not (folder / "meta.json").exists() and not alone:
        ERR.print(
            Text(f"left out: {folder} ended before anything was deployed, or is no run", "yellow"), soft_wrap=True
        )
    else:
        yield rundir.find(home() / "runs", name or None).path


def _of_suite(folder: Path) -> Sequence[Path]:
    try:
        drills = json.loads((folder / "suite.json").read_bytes())["drills"]
        found = [folder / one["run_dir"] for one in drills if one.get("run_dir")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder / 'suite.json'} cannot be read: {error}") from error
    return [path.resolve() for path in found if path.is_dir()]
