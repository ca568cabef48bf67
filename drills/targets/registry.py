"""The targets recdr knows, and how a process finds the one that is deployed.

A deployed target leaves a reference file. ``RECDR_TARGET`` names it for the processes of a drill; without it the lab
that ``recdr up`` started is meant.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from drills.errors import UsageError
from drills.home import home
from drills.targets.external.target import ExternalTarget
from drills.targets.local.target import LocalTarget

TARGET_VARIABLE = "RECDR_TARGET"
KINDS: dict[str, type[LocalTarget] | type[ExternalTarget]] = {kind.kind: kind for kind in (LocalTarget, ExternalTarget)}


def reference() -> Path:
    """The reference file of the target that this process is to use."""
    return Path(os.environ.get(TARGET_VARIABLE) or home() / "lab" / "target.json")


def attach(path: Path | None = None) -> Any:
    """The deployed target that ``path`` (default: ``reference()``) names; raises UsageError where none is up."""
    path = path or reference()
    try:
        kind = json.loads(path.read_text())["kind"]
    except FileNotFoundError:
        raise UsageError(f"no target is up ({path} is missing): start one with 'recdr up'") from None
    return KINDS[kind].attach(path)
