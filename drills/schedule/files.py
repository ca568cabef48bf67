"""The files of a schedule, from one template each.

Whatever comes from the command line or a drill goes through the filter of the language that it lands in. The templates'
own marks are ``<@ @>``, ``<% %>`` and ``<# #>``, for braces mean something to GitHub.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2

from drills.errors import UsageError
from drills.schedule.calendars import on_calendar
from drills.schedule.job import HEALING_S, Job

_TEMPLATES = Path(__file__).parent / "templates"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./=-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
SHORTEST_GITHUB_S = 300
LONGEST_GITHUB_S = 6 * 3600
MINE = "# Made by recdr"
"""How every file begins: what begins otherwise is somebody's own, and is not written over."""


@dataclass(frozen=True)
class System:
    """``where``: what to do with the files, said when they are printed; ``names`` those of the templates."""

    names: tuple[str, ...]
    where: str
    check: Callable[[Job], None] = lambda _: None
    values: Callable[[Job], dict[str, Any]] = lambda _: {}


def files(system: str, job: Job) -> dict[str, str]:
    """The text of each file of the system's, by name; raises UsageError for what the system cannot do."""
    known = SYSTEMS[system]
    known.check(job)
    environment = _environment()
    values = {"job": job, "wanted": job.wanted, "healing_s": HEALING_S, **known.values(job)}
    return {
        name.replace("NAME", job.name): environment.get_template(f"{name}.j2").render(values) for name in known.names
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - none of these files is HTML
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="<@",
        variable_end_string="@>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters |= {
        "yaml": _yaml,
        "sh": shlex.quote,
        "words": shlex.join,
        "kubernetes": lambda text: text.replace("$(", "$$("),
        "unit": _unit,
        "minutes": lambda seconds: -(-int(seconds) // 60),
        "comment": lambda text: text.replace("\n", " "),
    }
    return environment


def _yaml(value: Any) -> str:
    """A YAML scalar that is this text and nothing else: plain where it can be read so, else in double quotes."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)


def _unit(words: list[str]) -> str:
    """Words of a command for systemd, which knows ``%`` and ``$`` and has quotes of its own."""
    return " ".join(_unit_word(word) for word in words)


def _unit_word(word: str) -> str:
    said = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return said if re.fullmatch(r"[\w./:=@,+%$-]+", said) else f'"{said}"'


def _no_expressions(job: Job) -> None:
    for said in (*job.wanted.names, *job.wanted.tags, job.wanted.install, job.wanted.command):
        if "${{" in said:
            raise UsageError(f"{said!r}: GitHub would read what begins with ${{{{ as an expression of its own")
    _in_repository(job, "GitHub")
    gap = _shortest_gap_s(job)
    if gap < SHORTEST_GITHUB_S:
        raise UsageError(
            f"--cron '{job.wanted.cron}': every {gap:.0f} s; GitHub starts nothing more often than every 5 minutes"
        )


def _gitlab(job: Job) -> None:
    _in_repository(job, "GitLab")


def _in_repository(job: Job, system: str) -> None:
    """Drill files must be named as the checked-out repository has them."""
    for path in job.own:
        if path.is_absolute() or ".." in path.parts:
            raise UsageError(
                f"{path}: {system} runs what is in the repository. Name the file as it is called from its top"
            )


def _cronjob(job: Job) -> None:
    if not job.wanted.image:
        said = "name yours, such as registry.example/recdr:0.1.0, and the file begins with the Dockerfile that makes it"
        raise UsageError(f"--image is missing: recdr publishes no image; {said}")
    names = [path.name for path in job.own]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two of the drills are called {double}: a ConfigMap has room for one")
    if odd := next((name for name in names if not re.fullmatch(r"[-\w.]+", name, re.ASCII)), None):
        raise UsageError(f"{odd}: in a ConfigMap a file's name is of letters, digits, hyphens and points. Rename it")


def _in_cluster(job: Job) -> dict[str, Any]:
    texts = {path: path.read_text(encoding="utf-8") for path in job.own}
    return {"own": texts, "moved": {path: f"/drills/{path.name}" for path in job.own}}


def _as_unit(job: Job) -> dict[str, Any]:
    """``%h`` is the user's home, in which systemd runs them."""
    home = f"%h/.local/share/recdr/{job.wanted.version}-python{job.wanted.python}"
    install = shlex.quote(job.wanted.install).replace("%", "%%").replace("$", "$$")
    make = f"python{job.wanted.python} -m venv '{home}'; '{home}/bin/pip' install --quiet {install}"
    script = f"test -x '{home}/bin/recdr' || {{ {make}; }}".replace("\\", "\\\\").replace('"', '\\"')
    return {
        "program": f"{home}/bin/recdr",
        "install_script": f'"{script}"',
        "arguments": job.arguments({path: str(path.resolve()) for path in job.own}),
        "calendar": on_calendar(job.cron, job.wanted.zone),
    }


def _shortest_gap_s(job: Job) -> float:
    moments = job.cron.upcoming(datetime.now(UTC), 100)
    return min((b - a).total_seconds() for a, b in pairwise(moments))


SYSTEMS = {
    "github": System(
        ("github.yaml",), "Save it as .github/workflows/{name}.yml on the default branch.", _no_expressions
    ),
    "gitlab": System(
        ("gitlab.yaml",),
        "Add it to .gitlab-ci.yml, and create the pipeline schedule: the file's head says how.",
        _gitlab,
    ),
    "cronjob": System(
        ("cronjob.yaml",),
        "Then: kubectl apply -f FILE. The file's head says what the nodes must allow.",
        _cronjob,
        _in_cluster,
    ),
    "systemd": System(
        ("NAME.service", "NAME.timer"),
        "Put both into ~/.config/systemd/user (--out DIR), then: systemctl --user enable --now {name}.timer",
        values=_as_unit,
    ),
}
