"""What a schedule runs: the command, how long it may take, and what it needs where it runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from drills import spec, suite
from drills.errors import UsageError
from drills.schedule.cron import Cron
from drills.spec import Drill

PREPARING_S = 900
"""For the data to be fetched and the model to be trained where no cache has them yet."""
BESIDE_S = 180
"""For a drill's lab, baseline, reading back, healing and report, beside its trials."""
HEALING_S = 180
"""What recdr may take to heal after it was told to stop, before it is killed."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")
_ENVIRONMENT = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"[^\x00-\x1f\x7f\u0085\u2028\u2029]*")


@dataclass(frozen=True)
class Wanted:
    """What the command line says. ``install`` is what pip installs, ``command`` how to make the file again."""

    names: Sequence[str]
    tags: Sequence[str]
    cron: str
    zone: str
    install: str
    version: str
    python: str
    command: str
    name: str | None = None
    trials: int | None = None
    require_baseline: bool = False
    image: str = ""


@dataclass(frozen=True)
class Job:
    """``own``: drill files that do not come with recdr, as they were named. ``variables``: what the drills read from
    the environment. ``limit_s`` is longer than their guards allow them to take."""

    wanted: Wanted
    name: str
    cron: Cron
    drills: tuple[Drill, ...]
    own: tuple[Path, ...]
    variables: tuple[str, ...]
    limit_s: int
    options: tuple[str, ...] = field(default=())

    @property
    def many(self) -> bool:
        """Whether recdr runs them as a suite."""
        return bool(self.wanted.tags) or len(self.wanted.names) > 1

    @property
    def lab(self) -> bool:
        """Whether recdr deploys something itself, which takes namespaces."""
        return any(drill.service is None for drill in self.drills)

    @property
    def files_beside(self) -> bool:
        """Whether a drill of one's own may need what lies beside its file: commands, lists of users."""
        return any(drill.service is not None and drill.path in self.own for drill in self.drills)

    def arguments(self, files: dict[Path, str] | None = None) -> list[str]:
        """What follows ``recdr``; ``files`` says where drill files of one's own are to be found instead."""
        moved = {str(path): where for path, where in (files or {}).items()}
        return ["drill", "run", *(moved.get(str(Path(name)), name) for name in self.wanted.names), *self.options]


def plan(wanted: Wanted) -> Job:
    """The job; raises UsageError for what cannot be scheduled, naming the option, and SpecError for a drill."""
    _check(wanted)
    drills = suite.choose(wanted.names, wanted.tags, recorded=True)
    shipped = set(spec.shipped())
    own = tuple(drill.path for drill in drills if drill.path not in shipped)
    trials = [wanted.trials or drill.trials for drill in drills]
    spent = sum(number * drill.guard.max_duration_s + BESIDE_S for number, drill in zip(trials, drills, strict=True))
    return Job(
        wanted=wanted,
        name=wanted.name or _name(wanted, drills),
        cron=Cron.parse(wanted.cron),
        drills=tuple(drills),
        own=own,
        variables=tuple(sorted({name for drill in drills for name in _variables(drill)})),
        limit_s=math.ceil((spent + PREPARING_S) / 300) * 300,
        options=tuple(_options(wanted)),
    )


def _options(wanted: Wanted) -> Iterator[str]:
    for tag in wanted.tags:
        yield from ("--tag", tag)
    if wanted.trials is not None:
        yield from ("--trials", str(wanted.trials))
    if wanted.require_baseline:
        yield "--require-baseline"


def _variables(drill: Drill) -> Iterator[str]:
    """What the drill takes from the environment: in headers, by Chaos Toolkit's own ``type: env``, for messages."""
    yield from (one.to_env for one in drill.notify)
    yield from _ENVIRONMENT.findall(json.dumps(drill.experiment, default=str))
    for block in ("configuration", "secrets"):
        yield from _keys(drill.experiment.get(block))


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "env" and _VARIABLE.fullmatch(str(value.get("key"))):
            yield str(value["key"])
        for inner in value.values():
            yield from _keys(inner)


def _name(wanted: Wanted, drills: Sequence[Drill]) -> str:
    about = wanted.tags[0] if wanted.tags else drills[0].path.stem if len(drills) == 1 else "drills"
    plain = re.sub(r"[^a-z0-9]+", "-", about.lower()).strip("-")[:34].strip("-")
    return f"recdr-{plain or 'drills'}"


def _check(wanted: Wanted) -> None:
    if not wanted.names and not wanted.tags:
        raise UsageError("name a drill, such as failover.yaml, or a --tag; 'recdr drill list' shows both")
    if wanted.name is not None and not _NAME.fullmatch(wanted.name):
        raise UsageError(f"--name {wanted.name!r}: take at most 42 small letters, digits and hyphens between them")
    if not re.fullmatch(r"3(\.\d{1,2})?", wanted.python):
        raise UsageError(f"--python {wanted.python!r}: a version such as 3.12")
    try:
        ZoneInfo(wanted.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problem = f"--timezone {wanted.zone!r}: no such time zone. Write UTC, or a name such as Europe/Berlin"
        raise UsageError(problem) from None
    for said in (*wanted.names, *wanted.tags, wanted.install, wanted.image, wanted.command):
        if not _LINE.fullmatch(said):
            raise UsageError(f"{said!r} has control characters in it, which no file of these can hold")
