"""Heal what a run broke and nobody healed: at the end of a trial, after Ctrl-C, or from a fresh process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from drills import hooks
from drills.faults import FAULTS
from drills.faults.base import HEAL_TIMEOUT_S, Evidence, LooksFirst, wait_for
from drills.undo import Intent, UndoLog, unhealed


def heal_open_faults(run_dir: Path, target: Any, trial: int | None = None) -> list[tuple[Intent, Evidence]]:
    """Heal every fault of the run that was never confirmed as healed, the latest first.

    One fault that cannot be healed does not keep the others from being healed. Returns each with what was seen.
    """
    undo = UndoLog(run_dir, trial)
    healed = []
    for intent in unhealed(run_dir):
        with hooks.at(hooks.Place(Path(intent.folder), run_dir / "logs" / hooks.LOG)):
            evidence = _heal(intent, target, undo)
        undo.confirmed(intent.fault, intent.arguments, evidence.observed, evidence.text)
        healed.append((intent, evidence))
    return healed


def _heal(intent: Intent, target: Any, undo: UndoLog) -> Evidence:
    fault = FAULTS[intent.fault](**intent.arguments)
    if isinstance(fault, LooksFirst):
        fault.recall(intent.noted)
    begin = time.monotonic_ns()
    try:
        fault.heal(target)
        undo.healed(intent.fault, intent.arguments, begin, time.monotonic_ns())
        return wait_for(lambda: fault.healed(target), HEAL_TIMEOUT_S)
    except Exception as error:  # whatever went wrong with this one, the others must be healed
        return Evidence(False, f"healing failed: {type(error).__name__}: {error}")
