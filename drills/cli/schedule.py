"""``recdr schedule``: files that let a CI system or a machine run drills at fixed times."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from drills import schedule
from drills.cli.arguments import DrillNames, Tags
from drills.cli.terminal import ERR
from drills.errors import UsageError
from drills.schedule.files import MINE

app = typer.Typer(
    no_args_is_help=True,
    help="Print a working file that runs drills at fixed times, in CI or on a machine.",
)

CronOption = Annotated[
    str, typer.Option("--cron", metavar="'M H D M W'", help="When: minute, hour, day of month, month, day of week.")
]
Zone = Annotated[str, typer.Option("--timezone", metavar="ZONE", help="Whose clock: UTC, Europe/Berlin ...")]
Trials = Annotated[int | None, typer.Option(min=1, max=100, help="How many trials; default: what each drill says.")]
Require = Annotated[bool, typer.Option("--require-baseline", help="Refuse to run where no baseline is accepted.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="What it is called; default: recdr-TAG.")]
Install = Annotated[
    str | None,
    typer.Option(
        "--install", metavar="WHAT", help="What pip installs: 'git+https://...', a wheel's path; default: this version."
    ),
]
Python = Annotated[str, typer.Option("--python", metavar="VERSION", help="Which Python runs it.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of printing it.")]
OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write both files into this folder.", file_okay=False)
]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@app.command()
def github(
    cron: CronOption,
    names: DrillNames = None,
    tags: Tags = None,
    trials: Trials = None,
    require_baseline: Require = False,
    zone: Zone = "UTC",
    name: Name = None,
    install: Install = None,
    python: Python = "3.12",
    out: Out = None,
) -> None:
    """Print a GitHub Actions workflow: cached model, summary and annotations, runs as artifacts, never two at once.

    [bold]recdr schedule github --cron '17 3 * * *' --tag nightly --out .github/workflows/drills.yml[/bold]

    [bold]recdr schedule github --cron '30 4 * * MON' mine.yaml --trials 4[/bold]   a drill in the repository
    """
    _give("github", _wanted(names, tags, cron, zone, name, install, python, trials, require_baseline), out)


@app.command()
def gitlab(
    cron: CronOption,
    names: DrillNames = None,
    tags: Tags = None,
    trials: Trials = None,
    require_baseline: Require = False,
    zone: Zone = "UTC",
    name: Name = None,
    install: Install = None,
    python: Python = "3.12",
    out: Out = None,
) -> None:
    """Print a GitLab CI job, and how to create the pipeline schedule that starts it.

    [bold]recdr schedule gitlab --cron '17 3 * * *' --tag nightly --timezone Europe/Berlin[/bold]
    """
    _give("gitlab", _wanted(names, tags, cron, zone, name, install, python, trials, require_baseline), out)


@app.command()
def cronjob(
    cron: CronOption,
    image: Annotated[str, typer.Option("--image", metavar="IMAGE", help="An image that has recdr in it.")] = "",
    names: DrillNames = None,
    tags: Tags = None,
    trials: Trials = None,
    require_baseline: Require = False,
    zone: Zone = "UTC",
    name: Name = None,
    install: Install = None,
    python: Python = "3.12",
    out: Out = None,
) -> None:
    """Print a Kubernetes CronJob with a volume for the runs. recdr publishes no image: the file says how to build one.

    [bold]recdr schedule cronjob --cron '17 3 * * *' --tag nightly --image registry.example/recdr:0.1.0[/bold]
    """
    _give("cronjob", _wanted(names, tags, cron, zone, name, install, python, trials, require_baseline, image), out)


@app.command()
def systemd(
    cron: CronOption,
    names: DrillNames = None,
    tags: Tags = None,
    trials: Trials = None,
    require_baseline: Require = False,
    zone: Zone = "UTC",
    name: Name = None,
    install: Install = None,
    python: Python = HERE,
    out: OutFolder = None,
) -> None:
    """Print a systemd service and its timer, for a user's own systemd: no root.

    [bold]recdr schedule systemd --cron '17 3 * * *' --tag nightly --out ~/.config/systemd/user[/bold]
    """
    _give("systemd", _wanted(names, tags, cron, zone, name, install, python, trials, require_baseline), out)


def _wanted(
    names: list[str] | None,
    tags: list[str] | None,
    cron: str,
    zone: str,
    name: str | None,
    install: str | None,
    python: str,
    trials: int | None,
    require_baseline: bool,
    image: str = "",
) -> schedule.Wanted:
    running = version("recdr")
    return schedule.Wanted(
        names=names or [],
        tags=tags or [],
        cron=cron,
        zone=zone,
        install=install or f"recdr=={running}",
        version=running,
        python=python,
        command=shlex.join(["recdr", *sys.argv[1:]]),
        name=name,
        trials=trials,
        require_baseline=require_baseline,
        image=image,
    )


def _give(system: str, wanted: schedule.Wanted, out: Path | None) -> None:
    job = schedule.plan(wanted)
    made = schedule.files(system, job)
    if out is None:
        for number, (name, text) in enumerate(made.items()):
            sys.stdout.write(("\n" if number else "") + (f"# {name}\n" if len(made) > 1 else "") + text)
    else:
        places = {out / name if len(made) > 1 else out: text for name, text in made.items()}
        for path in places:
            _check_own(path)
        for path, text in places.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            ERR.print(f"written: {path}", soft_wrap=True)
    _tell(system, job)


def _check_own(path: Path) -> None:
    """Raise UsageError rather than write over a file that recdr did not make."""
    if path.is_dir():
        raise UsageError(f"--out {path}: this is a folder; name the file")
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MINE):
        raise UsageError(f"{path} is there already and was not made by this command: remove it, or choose another name")


def _tell(system: str, job: schedule.Job) -> None:
    """When it will run, how long that may take, what to do with the file."""
    zone = job.wanted.zone
    now = datetime.now(UTC).astimezone(ZoneInfo(zone))
    moments = job.cron.upcoming(now, 3)
    shown = ", ".join(f"{moment:%a %Y-%m-%d %H:%M}" for moment in moments)
    clock = "UTC, as GitHub's clock is without --timezone" if (system, zone) == ("github", "UTC") else zone
    ERR.print(f"next: {shown} ({clock})", soft_wrap=True, markup=False)
    many = f"{len(job.drills)} drill{'s' if len(job.drills) > 1 else ''}"
    ERR.print(f"{many}, stopped after {job.limit_s // 60} minutes at the latest", soft_wrap=True, markup=False)
    if len(moments) > 1 and (moments[1] - moments[0]).total_seconds() < job.limit_s:
        ERR.print("warning: one may still run when the next is due, which is then left out or waits", soft_wrap=True)
    ERR.print(schedule.SYSTEMS[system].where.format(name=job.name), soft_wrap=True, markup=False)
