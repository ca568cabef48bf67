"""``recdr drill run``: one drill, or many as a suite."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from drills import engine, spec, suite
from drills.cli.annotations import AnnotationsFor, Annotator, annotating
from drills.cli.arguments import AsJson, DrillNames, Model, Tags, complete_baseline
from drills.cli.notify import ReportUrl, say
from drills.cli.suite import show_suite, watcher
from drills.cli.terminal import ERR, Lines, Screen, print_verdict, warn_of_secrets
from drills.engine import Options
from drills.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNKNOWN, UsageError
from drills.notify.telling import Telling, nobody, prepare
from drills.recording import rundir
from drills.spec import Drill

Prepare = Callable[[Sequence[Drill]], Telling]
"""Who is told of these drills; takes their addresses out of the environment, so it comes before anything is started."""
EXIT_CODES = {"PASS": EXIT_PASS, "FAIL": EXIT_FAIL, "UNKNOWN": EXIT_UNKNOWN}


def run(
    names: DrillNames = None,
    tags: Tags = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Of several drills: end at the first that is not PASS.")
    ] = False,
    skip_unable: Annotated[
        bool,
        typer.Option("--skip-unable", help="Leave out drills that this machine cannot run; so does --tag alone."),
    ] = False,
    trials: Annotated[
        int | None, typer.Option(min=1, max=100, help="How many trials; default: what the drill says.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of everything random; default: the drill's, else drawn.")
    ] = None,
    as_json: AsJson = False,
    accelerator: Annotated[
        str | None,
        typer.Option(help="auto, cuda, cpu or simulated; default: what the drill says.", metavar="KIND"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where run directories go; default: .recdr/runs.", metavar="DIR", file_okay=False),
    ] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Use a lab of its own even if one is up.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the edge on 127.0.0.1; 0: a free one.")] = 0,
    model: Model = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Hold it against this baseline; default: the accepted one, else one recorded now.",
            metavar="ID",
            autocompletion=complete_baseline,
        ),
    ] = None,
    require_baseline: Annotated[
        bool, typer.Option("--require-baseline", help="Refuse to run where no baseline is accepted, for CI.")
    ] = False,
    annotations: AnnotationsFor = None,
    report_url: ReportUrl = None,
    no_notify: Annotated[
        bool, typer.Option("--no-notify", help="Tell nobody, whatever the drill or RECDR_NOTIFY says.")
    ] = False,
) -> None:
    """Run a drill: deploy, break, measure, heal, judge, report. Several drills, or --tag: run them as a suite.

    A suite checks every file first, shares a lab among drills that want the same one, goes on when a drill fails,
    and ends with one table and the worst exit code.

    [bold]recdr drill run failover.yaml[/bold]   one drill, on a lab of its own or the one that is up

    [bold]recdr drill run failover node-kill mine.yaml --fail-fast[/bold]   these, until one is not PASS

    [bold]recdr drill run --tag nightly --json > suite.json[/bold]   all shipped ones with a tag; see drill list

    [bold]recdr drill run experiments/*.yaml --skip-unable[/bold]   all that can run on this machine

    [bold]recdr drill run failover --annotations github[/bold]   in a GitHub workflow; 'recdr schedule' writes one

    Exits 0 PASS, 1 FAIL, 3 UNKNOWN, 2 usage, 70 a bug in recdr, 130 interrupted (healed first). Of a suite the worst:
    FAIL before UNKNOWN before PASS; drills that were skipped count for nothing.

    People are told of FAIL, UNKNOWN and changes where the drill's [bold]notify[/bold] or the environment variable
    RECDR_NOTIFY says so; that changes no exit code. Try it with [bold]recdr notify test[/bold].
    """
    if accelerator not in (None, "auto", "cuda", "cpu", "simulated"):
        raise UsageError(f"--accelerator {accelerator}: choose auto, cuda, cpu or simulated")
    if not names and not tags:
        raise UsageError("name a drill, such as failover.yaml, or a --tag; 'recdr drill list' shows both")
    options = Options(
        trials=trials,
        seed=seed,
        out=out.absolute() if out else None,
        accelerator=accelerator,
        ephemeral=ephemeral,
        port=port,
        baseline=baseline,
        require_baseline=require_baseline,
        model=model,
        command=("recdr", *map(shlex.quote, sys.argv[1:])),
    )

    def telling(drills: Sequence[Drill]) -> Telling:
        return nobody() if no_notify else prepare(drills, report_url, say)

    with annotating(annotations) as annotator:
        if names and len(names) == 1 and not tags:
            _one(names[0], options, as_json, annotator, telling)
        else:
            _many(names or [], tags or [], options, fail_fast, skip_unable or not names, as_json, annotator, telling)


def _one(name: str, options: Options, as_json: bool, annotator: Annotator, telling: Prepare) -> None:
    drill = spec.load(spec.find(name))
    told = telling([drill])
    warn_of_secrets(drill)
    screen = Screen(drill.title) if ERR.is_terminal and not as_json else None
    run_dir = engine.create(drill, options)
    try:
        with screen or nullcontext():
            engine.conduct(run_dir, drill, options, screen or Lines())
    except Exception as error:
        _point_to_report(run_dir)
        told.drill(drill, run_dir, error)
        raise
    finally:
        annotator.run(run_dir, drill.path)
    code = show(run_dir, as_json)
    told.drill(drill, run_dir)
    raise typer.Exit(code)


def _many(
    names: list[str],
    tags: list[str],
    options: Options,
    fail_fast: bool,
    skip: bool,
    as_json: bool,
    annotator: Annotator,
    telling: Prepare,
) -> None:
    drills = suite.choose(names, tags)
    told = telling(drills)
    chosen = suite.check(drills, options, skip=skip)
    for drill in chosen.drills:
        warn_of_secrets(drill)
    title = "-".join(tags) or "suite"
    finished = suite.run(chosen, options, watcher(as_json), name=title, fail_fast=fail_fast)
    annotator.suite(finished.folder)
    show_suite(finished, as_json)
    told.suite(finished)
    raise typer.Exit(finished.code)


def finish(run_dir: rundir.RunDir, as_json: bool) -> None:
    """Show the verdict and end with its exit code."""
    raise typer.Exit(show(run_dir, as_json))


def show(run_dir: rundir.RunDir, as_json: bool) -> int:
    """Show the verdict; returns its exit code."""
    raw = run_dir.verdict.read_text()
    document: dict[str, Any] = json.loads(raw)
    if as_json:
        with contextlib.suppress(OSError):  # nobody reads any more: the exit code still says what was found
            sys.stdout.write(raw)
            sys.stdout.flush()
    else:
        print_verdict(document)
        _point_to_report(run_dir)
    return EXIT_CODES[str(document["outcome"])]


def _point_to_report(run_dir: rundir.RunDir) -> None:
    report = run_dir.path / "report.html"
    if report.exists():
        ERR.print(f"report: {report}", soft_wrap=True)
