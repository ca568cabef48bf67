"""Chaos Toolkit's side of a trial, seen from the engine: check an experiment, start its child process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from drills import processes
from drills.errors import SpecError
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.targets.registry import TARGET_VARIABLE
from drills.undo import FOLDER_VARIABLE, RUN_VARIABLE, TRIAL_VARIABLE

CHECK_TIMEOUT_S = 60.0


def check(drill: Drill, log: Path) -> None:
    """Have Chaos Toolkit validate the drill as every variant of it will run; raises SpecError in its words."""
    for number in range(1, max(1, len(drill.variants)) + 1):
        log.unlink(missing_ok=True)
        if _start({"experiment": drill.experiment_of(number)}, drill, log, {}).wait(timeout=CHECK_TIMEOUT_S) != 0:
            raise SpecError(drill.path, f"Chaos Toolkit refuses it: {log.read_text(errors='replace').strip()}")


def start(run: RunDir, drill: Drill, trial: int, reference: Path) -> subprocess.Popen[bytes]:
    """Start the experiment of a trial; its exit code says nothing about the service (see the journal)."""
    order = {
        "experiment": drill.experiment_of(trial),
        "journal": str(run.journal(trial)),
        "events": str(run.events),
        "trial": trial,
    }
    environment = {
        RUN_VARIABLE: str(run.path),
        TRIAL_VARIABLE: str(trial),
        TARGET_VARIABLE: str(reference),
        FOLDER_VARIABLE: str(drill.path.parent.absolute()),
    }
    return _start(order, drill, run.logs / f"chaos-{trial}.log", environment)


def _start(order: dict[str, Any], drill: Drill, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The drill's own folder is where modules of its own actions are looked for, after everything installed."""
    fd = processes.memory_file("experiment", {**order, "modules": str(drill.path.parent.absolute())})
    try:
        argv = ["-P", "-m", "drills.chaos", f"/proc/self/fd/{fd}"]
        return processes.start(argv, log, environment=environment, fds=[fd])
    finally:
        os.close(fd)
