"""``recdr calibrate``: how far the measures are off on this host."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from drills.calibration import error_of, run
from drills.cli.terminal import ERR, OUT, STYLES, Lines
from drills.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNKNOWN
from drills.home import home

EXIT_CODES = {"PASS": EXIT_PASS, "FAIL": EXIT_FAIL, "UNKNOWN": EXIT_UNKNOWN}


def _complete_shape(incomplete: str) -> list[str]:
    return [shape.name for shape in run.plan().shapes if shape.name.startswith(incomplete)]


def calibrate(
    repetitions: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How often each outage is repeated; default: 3, with --quick 1.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Short outages only, once: a minute and a half.")] = False,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this shape; may be repeated. Keeps the host's calibration as it is.",
            autocompletion=_complete_shape,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the outages' jitter.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the document on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Measure scripted outages of known shape and say how far each measure is off on this host.

    Exits 0 if every figure is within its stated bound, 1 if not, 3 if the host was too busy to tell.
    """
    planned = run.plan(shape or (), repetitions=repetitions, quick=quick, seed=seed)
    with tempfile.TemporaryDirectory(prefix="recdr-calibration-") as folder, _progress(planned.seconds) as progress:
        document = run.calibrate(planned, Path(folder), progress)
    saved = None if shape else run.save(document, home())
    if as_json:
        with contextlib.suppress(OSError):  # nobody reads any more: the exit code still says what was found
            sys.stdout.write(json.dumps(document, indent=1) + "\n")
            sys.stdout.flush()
    else:
        _show(document)
        ERR.print(f"calibration: {saved}" if saved else "not kept, for it is not of all shapes", soft_wrap=True)
    raise typer.Exit(EXIT_CODES[document["outcome"]])


@contextlib.contextmanager
def _progress(seconds: float) -> Iterator[run.Progress]:
    """A bar with the time left on a terminal, a line a shape elsewhere."""
    if not ERR.is_terminal:
        lines = Lines()
        yield lambda what, done, total: lines.progress(f"{what}, about {_span(total - done)} left")
        return
    columns = (
        TextColumn("{task.fields[left]:>9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task("starting", total=seconds, left="")
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total, left=f"{_span(total - done)} left"
        )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


_COLUMNS = ("measure", "truth", "n", "mean", "worst", "median in (95 %)", "allowed")
_WIDTHS = (20, 14, 4, 9, 9, 18, 9)


def _show(document: dict[str, Any]) -> None:
    """The errors, one block an outage, then what they come to."""
    OUT.print(Text(_line(_COLUMNS), "dim"), soft_wrap=True)
    for shape, of_shape in itertools.groupby(document["summary"], key=lambda row: row["shape"]):
        rows, told = list(of_shape), document["settings"]["shapes"][shape]
        OUT.print(Text.assemble((shape, "bold"), f"  {told['meaning']}" + f"; {told['note']}" * bool(told["note"])))
        exact = [row for row in rows if not row["bound"] and row["outcome"] == "PASS"]
        for row in (row for row in rows if row not in exact):
            outcome = "" if row["outcome"] == "PASS" else f"  {row['outcome']}"
            OUT.print(Text(_line(_cells(row))).append(outcome, STYLES[row["outcome"]]), soft_wrap=True)
        OUT.print(Text("  exact: " + ", ".join(f"{row['measure']} {_truth(row)}" for row in exact), "dim"))
    lateness, repeated = document["lateness_ms"], len(document["repeated"])
    OUT.print(
        f"prober behind its schedule: p50 {lateness['p50']:.2f} ms, p99 {lateness['p99']:.2f} ms, "
        f"worst {lateness['worst']:.1f} ms; outages repeated because the server was late: {repeated}",
        soft_wrap=True,
    )
    for measure in document["measures"]:
        if error := error_of(document, measure):
            OUT.print(error.sentence, soft_wrap=True)
    OUT.print(Text(document["outcome"], STYLES[document["outcome"]]))
    for reason in document["reasons"]:
        OUT.print(Text(f"  {reason}"), soft_wrap=True)


def _line(cells: Sequence[str]) -> str:
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return "  " + first.strip().ljust(_WIDTHS[0]) + "".join(others)


_SHORT = {"requests/s": "/s", "ratio": "", "events": "", "requests": "", "probes": ""}


def _cells(row: dict[str, Any]) -> list[str]:
    unit, scale = ("ms", 1000) if row["unit"] == "s" else (_SHORT.get(row["unit"], row["unit"]), 1)

    def error(value: float | None) -> str:
        return "not read" if value is None else f"{scale * value:+.2g}" if value else "0"

    return [
        row["measure"],
        f"{_truth(row)} {_SHORT.get(row['unit'], row['unit'])}".strip(),
        str(row["n"]),
        error(row["mean_error"]),
        error(row["worst_error"]),
        "..".join(error(end) for end in row["interval"]) if row["interval"] else "-",
        f"{scale * row['bound']:g} {unit}".strip() if row["bound"] else "exact",
    ]


def _truth(row: dict[str, Any]) -> str:
    low, high = (f"{end:.3g}" for end in row["truth"])
    return low if low == high else f"{low}..{high}"
