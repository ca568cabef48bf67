"""The model that a drill's nodes serve: prepared once by recsvc, then taken from the cache."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from drills.errors import TargetError

# what is being done, how much is done, out of how much (None: unknown)
Progress = Callable[[str, float | None, float | None], None]


def prepare(cache: Path, progress: Progress) -> Path:
    """The bundle directory of the reference model; trains and exports it first where the cache has none.

    Runs in a process of its own, so that torch's memory is gone when the drill begins. Raises TargetError with the
    last words of a preparation that failed.
    """
    command = [sys.executable, "-P", "-m", "recsvc.prepare", "--cache", str(cache), "--progress", "lines"]
    words: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            try:
                step = json.loads(line)
                progress(f"{step['stage']}: {step['message']}", step.get("done"), step.get("total"))
            except (ValueError, KeyError, TypeError):
                words.append(line.strip())
        answer = process.stdout.read()
    if process.returncode != 0:
        raise TargetError(f"the model could not be prepared: {' '.join(words[-4:])}")
    return Path(json.loads(answer.splitlines()[-1])["bundle"])
