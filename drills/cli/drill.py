"""``recdr drill``: list, show, validate, judge and heal drills; run.py runs them, plan.py tells what that would do."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.syntax import Syntax
from rich.table import Table

import reports
from drills import judging, open_runs, spec, suite, undo
from drills.cli.annotations import AnnotationsFor, annotating
from drills.cli.arguments import AsJson, DrillName, RunName, Tags, complete_drill
from drills.cli.faults import faults
from drills.cli.plan import plan
from drills.cli.run import finish, run
from drills.cli.terminal import OUT, warn_of_secrets
from drills.errors import EXIT_UNKNOWN, UsageError
from drills.faults.base import Evidence
from drills.healing import heal_open_faults
from drills.home import home
from drills.naming import shown
from drills.privacy import vault
from drills.recording import rundir
from drills.targets.external.claim import claim
from drills.targets.external.target import ExternalTarget
from drills.targets.local.standing import exclusive, standing, unclaimed
from drills.targets.opening import check_abilities, check_hooks
from drills.undo import Intent

app = typer.Typer(no_args_is_help=True, help="Run drills and judge them.")


@app.command("list")
def list_(tags: Tags = None, as_json: AsJson = False) -> None:
    """List the drills that come with recdr; with --tag those that 'recdr drill run --tag' would run."""
    drills = [spec.load(path) for path in spec.shipped()] if not tags else suite.choose([], tags)
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
        typer.Argument(metavar="DRILL...", help="Drill files or shipped names.", autocompletion=complete_drill),
    ],
) -> None:
    """Check drill files without deploying anything; exits 2 at the first mistake."""
    for name in names:
        drill = spec.load(spec.find(name))
        check_abilities(drill)
        check_hooks(drill)
        warn_of_secrets(drill)
        OUT.print(
            f"{drill.path}: a valid drill with {len(drill.objectives)} objectives and {drill.trials} trial(s)",
            soft_wrap=True,
        )


app.command()(run)
app.command()(plan)
app.command()(faults)


@app.command()
def judge(name: RunName = None, as_json: AsJson = False, annotations: AnnotationsFor = None) -> None:
    """Judge a recorded run again, from its directory alone, and rebuild its report."""
    with annotating(annotations) as annotator:
        found = rundir.find(home() / "runs", name)
        judging.judge_run(found)
        annotator.run(found)
        finish(found, as_json)


@app.command()
def heal(name: RunName = None) -> None:
    """Heal what a drill broke when it could not do so itself (kill -9, power cut); safe to repeat."""
    found = [rundir.find(home() / "runs", name, unfinished=True)] if name else _left_open()
    run, others = (found[0], found[1:]) if found else (None, [])
    if run and open_runs.is_running(run):
        raise UsageError(f"{run.path} is still running: end it with Ctrl-C, then it heals by itself")
    if others:
        left_over = ", ".join(str(other.path) for other in others)
        OUT.print(f"Healing the latest; name the others to heal them: {left_over}", soft_wrap=True)
    healed = _heal(run)
    if run:
        _leave_report(run)
    if not healed:
        raise typer.Exit(EXIT_UNKNOWN)


def _heal(run: rundir.RunDir | None) -> bool:
    """Heal what the run left, or bring the lab that is up back to where it was; False if something is not healed."""
    if run:
        vault.unlock(run.path)
    service = _service_of(run) if run else None
    if run and service and not service.whole and not undo.unhealed(run.path):
        OUT.print(f"{run.id} ended with everything healed: nothing is left to heal.", soft_wrap=True)
        return True
    if run and service:
        return _heal_service(run, service)
    lab = standing()
    if lab is None:
        _tell_nothing_to_heal(run)
        return True
    with exclusive(lab.lab_dir):
        unclaimed(lab)
        left = heal_open_faults(run.path, lab) if run else []
        _tell_healed(left)
        lab.reset()
    if run:
        open_runs.close(run)
    OUT.print("The lab serves with all its nodes, and the primary is the master.")
    return all(evidence.observed for _, evidence in left)


def _leave_report(run: rundir.RunDir) -> None:
    """A run that was killed has had nobody to write its report; healing must not fail for want of one."""
    if run.verdict.exists():
        return
    try:
        OUT.print(f"report: {reports.build(run.path)['report.html']}", soft_wrap=True)
    except OSError as error:
        OUT.print(f"no report could be written: {error.strerror}", soft_wrap=True)


def _service_of(run: rundir.RunDir) -> ExternalTarget | None:
    """The service that recdr did not deploy and the run was about; None where it was about a lab."""
    reference = run.path / "target.json"
    return ExternalTarget.attach(reference) if reference.exists() else None


def _heal_service(run: rundir.RunDir, service: ExternalTarget) -> bool:
    """Heal what the run left; False if something is not healed."""
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
    return all(evidence.observed for _, evidence in left)


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
