"""``recdr drill``: list, show, validate, run, judge and heal drills."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.syntax import Syntax
from rich.table import Table

from drills import engine, judging, open_runs, spec, undo
from drills.baseline import Store
from drills.cli.terminal import ERR, OUT, Lines, Screen, print_verdict
from drills.engine import Options
from drills.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNKNOWN, UsageError
from drills.faults.base import Evidence
from drills.healing import heal_open_faults
from drills.home import home
from drills.naming import shown
from drills.recording import rundir
from drills.targets.external.claim import claim
from drills.targets.external.target import ExternalTarget
from drills.targets.local.standing import exclusive, standing
from drills.targets.opening import check_abilities, check_hooks
from drills.undo import Intent

app = typer.Typer(no_args_is_help=True, help="Run drills and judge them.")
EXIT_CODES = {"PASS": EXIT_PASS, "FAIL": EXIT_FAIL, "UNKNOWN": EXIT_UNKNOWN}


def _complete_drill(incomplete: str) -> list[str]:
    return [path.name for path in spec.shipped() if path.name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """The ids of runs that begin so."""
    runs = home() / "runs"
    return sorted(path.name for path in runs.glob(f"{incomplete}*")) if runs.is_dir() else []


def _complete_baseline(incomplete: str) -> list[str]:
    return [found.id for found in Store.of(home()).all() if found.id.startswith(incomplete)]


DrillName = Annotated[
    str,
    typer.Argument(metavar="DRILL", help="A drill file, or the name of a shipped one.", autocompletion=_complete_drill),
]
RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run's id, its beginning, or its directory; default: the latest.",
        autocompletion=complete_run,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document on stdout, and nothing else there.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the drills that come with recdr."""
    drills = [spec.load(path) for path in spec.shipped()]
    if as_json:
        rows = [{"name": d.path.name, "title": d.title, "tags": list(d.tags), "path": str(d.path)} for d in drills]
        OUT.print_json(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("drill", "what must hold", "tags"):
        table.add_column(name, overflow="fold")
    for drill in drills:
        table.add_row(drill.path.name, drill.title, " ".join(drill.tags))
    OUT.print(table)


@app.command()
def show(name: DrillName) -> None:
    """Print a drill file, to read or to copy: recdr drill show failover.yaml > mine.yaml."""
    text = spec.find(name).read_text()
    if OUT.is_terminal:
        OUT.print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        sys.stdout.write(text)


@app.command()
def validate(
    names: Annotated[
        list[str],
        typer.Argument(metavar="DRILL...", help="Drill files or shipped names.", autocompletion=_complete_drill),
    ],
) -> None:
    """Check drill files without deploying anything; exits 2 at the first mistake."""
    for name in names:
        drill = spec.load(spec.find(name))
        check_abilities(drill)
        check_hooks(drill)
        OUT.print(
            f"{drill.path}: a valid drill with {len(drill.objectives)} objectives and {drill.trials} trial(s)",
            soft_wrap=True,
        )


@app.command()
def run(
    name: DrillName,
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
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Hold it against this baseline; default: the accepted one, else one recorded now.",
            metavar="ID",
            autocompletion=_complete_baseline,
        ),
    ] = None,
    require_baseline: Annotated[
        bool, typer.Option("--require-baseline", help="Refuse to run where no baseline is accepted, for CI.")
    ] = False,
) -> None:
    """Run a drill: deploy, break, measure, heal, judge, report.

    Exits 0 PASS, 1 FAIL, 3 UNKNOWN, 2 usage, 70 a bug in recdr, 130 interrupted (healed first).
    """
    if accelerator not in (None, "auto", "cuda", "cpu", "simulated"):
        raise UsageError(f"--accelerator {accelerator}: choose auto, cuda, cpu or simulated")
    drill = spec.load(spec.find(name))
    options = Options(
        trials=trials,
        seed=seed,
        out=out.absolute() if out else None,
        accelerator=accelerator,
        ephemeral=ephemeral,
        port=port,
        baseline=baseline,
        require_baseline=require_baseline,
        command=("recdr", *map(shlex.quote, sys.argv[1:])),
    )
    screen = Screen(drill.title) if ERR.is_terminal and not as_json else None
    with screen or nullcontext():
        finished = engine.run(drill, options, screen or Lines())
    _finish(finished, as_json)


@app.command()
def judge(name: RunName = None, as_json: AsJson = False) -> None:
    """Judge a recorded run again, from its directory alone, and rebuild its report."""
    found = rundir.find(home() / "runs", name)
    judging.judge_run(found)
    _finish(found, as_json)


@app.command()
def heal(name: RunName = None) -> None:
    """Heal what a drill broke when it could not do so itself (kill -9, power cut); safe to repeat."""
    found = [rundir.find(home() / "runs", name)] if name else _left_open()
    run, others = (found[0], found[1:]) if found else (None, [])
    if run and open_runs.is_running(run):
        raise UsageError(f"{run.path} is still running: end it with Ctrl-C, then it heals by itself")
    if others:
        left_over = ", ".join(str(other.path) for other in others)
        OUT.print(f"Healing the latest; name the others to heal them: {left_over}", soft_wrap=True)
    service = _service_of(run) if run else None
    if run and service:
        _heal_service(run, service)
        return
    lab = standing()
    if lab is None:
        _tell_nothing_to_heal(run)
        return
    with exclusive(lab.lab_dir):
        left = heal_open_faults(run.path, lab) if run else []
        _tell_healed(left)
        lab.reset()
    if run:
        open_runs.close(run)
    OUT.print("The lab serves with all its nodes, and the primary is the master.")
    if not all(evidence.observed for _, evidence in left):
        raise typer.Exit(EXIT_UNKNOWN)


def _service_of(run: rundir.RunDir) -> ExternalTarget | None:
    """The service that recdr did not deploy and the run was about; None where it was about a lab."""
    reference = run.path / "target.json"
    return ExternalTarget.attach(reference) if reference.exists() else None


def _heal_service(run: rundir.RunDir, service: ExternalTarget) -> None:
    """Heal what the run left; exits 3 if something is not healed."""
    with claim(service.settings.edge):
        left = heal_open_faults(run.path, service)
        _tell_healed(left)
        if service.own:
            service.leave()
        else:
            service.reset()
    open_runs.close(run)
    state = "torn down, for the drill had deployed it" if service.own else "healthy"
    OUT.print(f"{service.settings.service.name} is {state}.")
    if not all(evidence.observed for _, evidence in left):
        raise typer.Exit(EXIT_UNKNOWN)


def _tell_healed(left: list[tuple[Intent, Evidence]]) -> None:
    for intent, evidence in left:
        state = "healed" if evidence.observed else "NOT healed"
        OUT.print(f"{state}: {intent.fault} ({shown(intent.arguments)}): {evidence.text}", soft_wrap=True)


def _left_open() -> list[rundir.RunDir]:
    """The runs that left something unhealed or did not come to their end, the latest first; none that still runs."""
    runs = home() / "runs"
    here = [rundir.RunDir(path) for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    unhealed = [run for run in here if undo.unhealed(run.path) and not open_runs.is_running(run)]
    found = {run.path: run for run in [*unhealed, *open_runs.abandoned()]}
    known = sorted(found.values(), key=lambda run: run.id, reverse=True)
    # A lab that died took its faults with it; a service that recdr did not deploy is still as the run left it.
    return [run for run in known if (run.path / "target.json").exists()] if standing() is None else known


def _tell_nothing_to_heal(run: rundir.RunDir | None) -> None:
    """What is known where there is neither a service nor a lab to heal, and what is not."""
    if run:
        OUT.print(f"No lab is up: what {run.path} broke in a lab of recdr's is gone with that lab.", soft_wrap=True)
        return
    OUT.print(
        f"Nothing to heal is known here: no lab is up, and no run in {home() / 'runs'} or {home() / 'open-runs'} left "
        "a service broken. If a drill ran with another RECDR_HOME or from another folder, name its run directory: "
        "recdr drill heal DIRECTORY",
        soft_wrap=True,
    )


def _finish(run_dir: rundir.RunDir, as_json: bool) -> None:
    """Show the verdict and end with its exit code."""
    raw = run_dir.verdict.read_text()
    document: dict[str, Any] = json.loads(raw)
    if as_json:
        with contextlib.suppress(OSError):  # nobody reads any more: the exit code still says what was found
            sys.stdout.write(raw)
            sys.stdout.flush()
    else:
        print_verdict(document)
        ERR.print(f"report: {run_dir.path / 'report.html'}", soft_wrap=True)
    raise typer.Exit(EXIT_CODES[document["outcome"]])
