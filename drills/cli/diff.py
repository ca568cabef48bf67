"""``recdr drill diff``: did the service get worse between two runs of a drill, or is that chance?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from drills import comparable, compare
from drills.cli.arguments import AsJson, complete_run
from drills.cli.terminal import ERR, OUT, measured
from drills.compare import Compared, Comparison, Finding
from drills.errors import UsageError
from drills.home import home
from drills.recording import rundir
from drills.recording.rundir import RunDir

STYLES = {
    Finding.REGRESSION: "bold red",
    Finding.IMPROVEMENT: "green",
    Finding.CANNOT_TELL: "yellow",
    Finding.NOT_TESTED: "dim",
}
RUN_HELP = "A run's id, its beginning, or its directory."
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Compare runs of different drills, topologies or loads all the same.")
]


def diff(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help=RUN_HELP, autocompletion=complete_run)],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help=RUN_HELP, autocompletion=complete_run)],
    measures: Annotated[
        list[str] | None,
        typer.Option("--measure", metavar="NAME", help="Test this measure; may be repeated. Default: the objectives'."),
    ] = None,
    anyway: Anyway = False,
    every: Annotated[bool, typer.Option("--all", help="Show measures that are not tested, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two runs of a drill: is B worse than A, better, or is there no evidence, or too little to tell?

    Trials are compared, not requests, by the exact Mann-Whitney test with Holm's correction.

    A difference counts only if it is also large enough to matter. With up to 6 objectives each run needs 5 trials, with
    more 6: recdr drill run DRILL --trials 6.

    Exits 0 no regression, 1 regression, 3 it cannot be told, 2 the runs cannot be compared.
    """
    runs, warnings, result = compared(run_a, run_b, measures or (), anyway=anyway)
    if as_json:
        OUT.print_json(json.dumps(compare.to_document(result, [run.id for run in runs], warnings), allow_nan=False))
    else:
        _print(result, runs, warnings, every=every)
    raise typer.Exit(result.exit_code)


def compared(
    run_a: str, run_b: str, measures: Sequence[str] = (), *, anyway: bool
) -> tuple[list[RunDir], list[str], Comparison]:
    """Both runs, what makes the comparison mean less, and its result.

    Raises UsageError for runs without a verdict, and for ones that are no runs of the same thing unless ``anyway``.
    """
    runs = [rundir.find(home() / "runs", name) for name in (run_a, run_b)]
    verdicts = [_verdict(run) for run in runs]
    found = comparable.problems(*runs)
    if found.refusals and not anyway:
        raise UsageError(
            f"{runs[0].id} and {runs[1].id} cannot be compared: {'; '.join(found.refusals)}. "
            "--anyway compares them all the same"
        )
    return runs, [*found.refusals, *found.warnings], compare.compare(verdicts[0], verdicts[1], measures)


def _verdict(run: RunDir) -> Mapping[str, Any]:
    try:
        found = json.loads(run.verdict.read_bytes())
        if isinstance(found["measures"], dict) and all(isinstance(t["measures"], dict) for t in found["trials"]):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{run.path} has no verdict that can be read: 'recdr drill judge {run.id}' makes it anew")


def _print(result: Comparison, runs: list[RunDir], warnings: list[str], *, every: bool) -> None:
    for name, run in zip("AB", runs, strict=True):
        OUT.print(f"{name}  {run.id}", soft_wrap=True)
    for warning in warnings:
        ERR.print(Text.assemble(("warning: ", "yellow"), warning), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("measure", "A: trials", "median", "B: trials", "median", "B is", "finding", ""):
        table.add_column(name, overflow="fold")
    for m in result.measures:
        if every or m.finding is not Finding.NOT_TESTED:
            table.add_row(
                m.name, *_side(m, m.a), *_side(m, m.b), m.changed, Text(m.finding, STYLES.get(m.finding, "")), m.why
            )
    OUT.print(table)
    OUT.print(Text(result.sentence, STYLES.get(result.finding, "")))


def _side(m: Compared, side: compare.Sample) -> tuple[str, str]:
    values = [_figure(m, v, c) for v, c in zip(side.values, side.censored, strict=True)]
    shown = " ".join(values[:8]) + (f" … ({len(values)})" if len(values) > 8 else "")
    return shown, _figure(m, *side.middle(compare.higher_is_better(m.name)), unit=m.unit)


def _figure(m: Compared, value: float | None, censored: bool, unit: str = "ratio") -> str:
    return "?" if value is None else measured({"value": value, "censored": censored, "unit": unit})
