"""Finding a drill file by what a person types: a path, or the name of a drill that comes with recdr."""

from __future__ import annotations

from pathlib import Path

from drills.errors import SpecError
from drills.spec.document import SUFFIXES
from drills.spec.rules import nearest

_PACKAGE = Path(__file__).resolve().parent.parent
SCHEMA = _PACKAGE / "drill.schema.json"
"""The JSON Schema of drill files, for editors."""


def shipped() -> list[Path]:
    """The drills that come with recdr, by name: from the installed package or from a source checkout."""
    installed = _PACKAGE / "shipped"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "experiments"
    return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)


def find(name: str | Path) -> Path:
    """The file that ``name`` means. A file of that path wins over a shipped drill of that name or stem.

    Raises SpecError, with the nearest shipped name, where there is neither.
    """
    path = Path(name)
    if _is_file(path):
        return path
    drills = shipped()
    if path.name == str(name):
        for drill in drills:
            if str(name) in (drill.name, drill.stem):
                return drill
    if _is_dir(path):
        raise SpecError(path, "this is a directory, not a drill file")
    problem = "there is no such file, and no drill of that name comes with recdr."
    raise SpecError(path, problem, remedy=nearest(path.name, [drill.name for drill in drills]))


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
