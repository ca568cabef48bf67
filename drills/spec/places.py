"""Where in a drill file something stands."""

from __future__ import annotations

from pathlib import Path

from drills.errors import SpecError
from drills.spec.document import EXTENSION, read


def objective_lines(path: Path) -> dict[str, int]:
    """The line (from 1) of each objective in a drill file, by measure; {} for a file that is no drill."""
    try:
        document = read(path)
    except SpecError:
        return {}
    extensions = document.data.get("extensions")
    for number, extension in enumerate(extensions if isinstance(extensions, list) else []):
        if isinstance(extension, dict) and extension.get("name") == EXTENSION:
            where = ("extensions", number, "objectives")
            asked = extension.get("objectives")
            return {name: document.line((*where, name)) for name in (asked if isinstance(asked, dict) else {})}
    return {}
