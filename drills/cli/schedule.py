"""``recdr schedule``: files that let a CI system or a machine run drills at fixed times."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from enum import StrEnum
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

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


class System(StrEnum):
    """What can run drills at fixed times."""

    GITHUB = "github"
    GITLAB = "gitlab"
    CRONJOB = "cronjob"
    SYSTEMD = "systemd"


def make(
    system: Annotated[
        System, typer.Argument(metavar="SYSTEM", help="github, gitlab, cronjob (Kubernetes) or systemd.")
    ],
    cron: Annotated[
        str, typer.Option("--cron", metavar="'M H D M W'", help="When: minute, hour, day of month, month, day of week.")
    ],
    names: DrillNames = None,
    tags: Tags = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=100, help="How many trials; default: what each drill says.")
    ] = None,
    require_baseline: Annotated[
        bool, typer.Option("--require-baseline", help="Refuse to run where no baseline is accepted.")
    ] = False,
    zone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Whose clock: UTC, Europe/Berlin ...")
    ] = "UTC",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What it is called; default: recdr-TAG.")
    ] = None,
    install: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="What pip installs: 'git+https://...', a wheel's path; default: this version."
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Which Python runs it; default: 3.12, for systemd this one's version."),
    ] = None,
    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="cronjob: an image that has recdr in it; it must be given.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="Write the file there; for systemd: both files into that folder."),
    ] = None,
) -> None:
    """Print a working file that runs drills at fixed times: never two at once, and what is broken is healed.

    [bold]recdr schedule github --cron '17 3 * * *' --tag nightly --out .github/workflows/drills.yml[/bold]
    a workflow: cached model, summary and annotations, runs as artifacts

    [bold]recdr schedule gitlab --cron '17 3 * * *' --tag nightly --timezone Europe/Berlin[/bold]
    a job, and how to create the pipeline schedule that starts it

    [bold]recdr schedule cronjob --cron '30 4 * * MON' mine.yaml --trials 4 --image registry.example/recdr:0.1.0[/bold]
    a Kubernetes CronJob with a volume for the runs; recdr publishes no image, the file says how to build one

    [bold]recdr schedule systemd --cron '17 3 * * *' --tag nightly --out ~/.config/systemd/user[/bold]
    a service and its timer, for a user's own systemd: no root
    """
    if image and system is not System.CRONJOB:
        raise UsageError(f"--image is for cronjob: {system} runs drills in no image of yours")
    running = version("recdr")
    wanted = schedule.Wanted(
        names=names or [],
        tags=tags or [],
        cron=cron,
        zone=zone,
        install=install or f"recdr=={running}",
        version=running,
        python=python or (HERE if system is System.SYSTEMD else "3.12"),
        command=shlex.join(["recdr", *sys.argv[1:]]),
        name=name,
        trials=trials,
        require_baseline=require_baseline,
        image=image,
    )
    _give(system, wanted, out)


def _give(system: str, wanted: schedule.Wanted, out: Path | None) -> None:
    job = schedule.plan(wanted)
    made = schedule.files(system, job)
    if out is not None and len(made) > 1 and out.is_file():
        raise UsageError(f"--out {out}: this is a file; name the folder for {' and '.join(made)}")
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
