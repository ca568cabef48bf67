"""Chaos Toolkit's side of a trial, seen from the engine: check an experiment, start its child process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
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
    for refused in refusals([drill], log):
        raise refused


def refusals(drills: Sequence[Drill], log: Path) -> list[SpecError]:
    """What Chaos Toolkit says against the drills, each as every variant of it will run; at most one error a drill.

    One child process a folder, for each folder has modules of its own; starting one takes most of a second.
    """
    found: dict[Path, SpecError] = {}
    for folder in dict.fromkeys(_folder(drill) for drill in drills):
        here = [drill for drill in drills if _folder(drill) == folder]
        trials = [(drill, number) for drill in here for number in range(1, max(1, len(drill.variants)) + 1)]
        log.unlink(missing_ok=True)
        order = {"check": [drill.experiment_of(number) for drill, number in trials]}
        code = _start(order, here[0], log, {}).wait(timeout=CHECK_TIMEOUT_S)
        words = log.read_text(errors="replace")
        said = dict(_answers(words))
        for position, (drill, _) in enumerate(trials):
            problem = said.get(position, f"its check ended with {code}: {words.strip()}")
            if problem is not None:
                found.setdefault(drill.path, SpecError(drill.path, f"Chaos Toolkit refuses it: {problem}"))
    return list(found.values())


def _answers(words: str) -> Iterator[tuple[int, str | None]]:
    """Which experiment was checked, and what was said against it; None where nothing was."""
    for line in words.splitlines():
        with contextlib.suppress(ValueError):
            answer = json.loads(line)
            if isinstance(answer, dict) and "checked" in answer:
                yield answer["checked"], answer["refused"]


def _folder(drill: Drill) -> Path:
    """Where modules of the drill's own actions are looked for, after everything installed."""
    return drill.path.parent.absolute()


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
        FOLDER_VARIABLE: str(_folder(drill)),
    }
    return _start(order, drill, run.logs / f"chaos-{trial}.log", environment)


def _start(order: dict[str, Any], drill: Drill, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    fd = processes.memory_file("experiment", {**order, "modules": str(_folder(drill))})
    try:
        argv = ["-P", "-m", "drills.chaos", f"/proc/self/fd/{fd}"]
        return processes.start(argv, log, environment=environment, fds=[fd])
    finally:
        os.close(fd)
