"""``--annotations github``: verdicts beside the lines of a pull request, and the summary on the job's page.

GitHub reads what a step writes for commands that begin with ``::``, on stderr as on stdout. A drill prints what a
service answered and what hooks said, so that it is told to read none until the drill is over. For the order to hold all
of it goes to stderr, where everything for people goes; stdout stays what it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from drills import spec
from drills.cli.terminal import complain
from drills.errors import Interrupted, RecdrError, SpecError, UsageError
from drills.recording.rundir import RunDir
from reports.github import ERROR, WARNING, Annotation, Place, commands, of_entry, of_verdict

MOST_SUMMARY_BYTES = 1024 * 1024
AnnotationsFor = Annotated[
    str | None,
    typer.Option(
        "--annotations",
        metavar="github",
        help="Also print annotations for GitHub Actions, and add the summary to the job's page.",
    ),
]


@dataclass
class Annotator:
    """Gathers what is to be said, and says it when the drill is over; does nothing where nobody asked for it."""

    wanted: bool
    found: list[Annotation] = field(default_factory=list)
    summaries: list[Path] = field(default_factory=list)

    def run(self, run: RunDir, drill: Path | None = None) -> None:
        """Note a run's verdict, if it has one; ``drill`` is the file that it was run from."""
        if not self.wanted:
            return
        about = _json(run.meta).get("drill") or {}
        name, digest = str(about.get("file") or "drill.yaml"), str(about.get("sha256"))
        if verdict := _json(run.verdict):
            self.found += of_verdict(verdict, name, place(name, digest, drill))
            self.summaries.append(run.path / "summary.md")

    def suite(self, folder: Path) -> None:
        """Note the verdicts of a suite's runs, and what came of the drills that were not judged."""
        if not self.wanted:
            return
        for entry in _json(folder / "suite.json").get("drills", []):
            path = Path(entry["path"])
            verdict = _json(folder / entry["run_dir"] / "verdict.json") if entry.get("run_dir") else {}
            where = place(path.name, _digest(path), path)
            judged = bool(verdict) and entry.get("state") == "judged"
            self.found += of_verdict(verdict, path.name, where) if judged else of_entry(entry, where)
        self.summaries.append(folder / "summary.md")

    def error(self, error: RecdrError) -> None:
        """Note why there is no verdict, unless one of the same says it already."""
        if self.found and not isinstance(error, UsageError):
            return
        level = WARNING if isinstance(error, Interrupted) else ERROR
        where = Path(error.path) if isinstance(error, SpecError) else None
        file = _in_workspace(where) if where is not None else ""
        line = error.line if isinstance(error, SpecError) else None
        self.found.append(Annotation(level, "recdr", str(error), file, line or 1 if file else None))


@contextmanager
def annotating(where: str | None) -> Iterator[Annotator]:
    """Somebody to tell what was found; it is printed at the end, and errors are, too.

    Raises UsageError for a system whose annotations recdr does not know, and typer.Exit for an error that it told.
    """
    if where not in (None, "github"):
        raise UsageError(f"--annotations {where}: only github is known; GitLab and others read junit.xml")
    annotator = Annotator(where is not None)
    if not annotator.wanted:
        yield annotator
        return
    token = secrets.token_hex(16)
    _print([f"::stop-commands::{token}"])
    try:
        yield annotator
    except RecdrError as error:
        complain(str(error))  # here and not later: it may quote what begins with ::
        annotator.error(error)
        raise typer.Exit(error.exit_code) from error
    finally:
        _print([f"::{token}::", *commands(annotator.found)])
        _summarise(annotator.summaries)


def place(name: str, digest: str, drill: Path | None = None) -> Place:
    """Where the drill stands in the repository: the file it was run from, else one of that name and content."""
    root = _root()
    known = [drill] if drill is not None else []
    for path in [*known, *(found for depth in ("", "*/", "*/*/") for found in sorted(root.glob(depth + _plain(name))))]:
        if (file := _in_workspace(path)) and _digest(path) == digest:
            return Place(file, spec.objective_lines(path))
    return Place()


def _plain(name: str) -> str:
    """A name that means itself in a pattern, and no other folder."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in Path(name).name) or "[]"


def _root() -> Path:
    return Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()


def _in_workspace(path: Path) -> str:
    """The path as the repository has it; empty for a file that lies elsewhere or is not there."""
    with contextlib.suppress(ValueError, OSError):
        return path.resolve().relative_to(_root()).as_posix() if path.is_file() else ""
    return ""


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _print(lines: list[str]) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: the exit code still says what was found
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def _summarise(summaries: list[Path]) -> None:
    """Add what there is to the page of the job; that it cannot be done changes nothing but a line of the log."""
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    for summary in summaries if page else []:
        try:
            with Path(page or "").open("ab") as file:
                text = summary.read_bytes()
                if file.tell() + len(text) > MOST_SUMMARY_BYTES:
                    complain(f"{summary} was not added to the job's page: GitHub takes 1 MiB for a step")
                    continue
                file.write(text + b"\n")
        except OSError as error:
            complain(f"the summary was not added to the job's page: {error.filename}: {error.strerror}")
