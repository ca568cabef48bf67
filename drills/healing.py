"""Heal what a run broke and nobody healed: at the end of a trial, after Ctrl-C, or from a fresh process."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drills import hooks
from drills.faults import FAULTS
from drills.faults.base import HEAL_TIMEOUT_S, Evidence, Fault, LooksFirst, wait_for
from drills.recording.rundir import RunDir
from drills.targets.base import TargetGone
from drills.undo import Intent, UndoLog, unhealed

TURN_S = 2 * HEAL_TIMEOUT_S
GONE = Evidence(True, "what it was broken in is gone, and the fault with it")


def heal_open_faults(run_dir: Path, target: Any) -> list[tuple[Intent, Evidence]]:
    """Heal every fault of the run that was never confirmed as healed, the latest first.

    One fault that cannot be healed, or whose healing cannot be written down, does not keep the others from being
    healed. Returns each with what was seen. ``target`` is None where it is gone.
    """
    healed = []
    with _turn(run_dir):
        for intent in unhealed(run_dir):
            with hooks.at(hooks.Place(Path(intent.folder), run_dir / "logs" / hooks.LOG)):
                healed.append((intent, _healed(intent, _Log(run_dir, intent), target)))
    return healed


@contextmanager
def _turn(run_dir: Path) -> Iterator[None]:
    """One healer of a run at a time, as far as possible: healing twice at once does no harm, not healing does.

    A healer that is stopped in the middle of it keeps the others waiting for a minute, not for ever.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a full disk
            lock = stack.enter_context((run_dir / "healing.lock").open("w"))
            deadline = time.monotonic() + TURN_S
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.1)
        yield


@dataclass
class _Log:
    """Writes down what became of one fault, as far as the disk allows."""

    run_dir: Path
    intent: Intent
    trouble: str = ""

    def write(self, what: str, *words: Any) -> None:
        """``healed`` or ``confirmed`` of the undo log."""

        def write() -> None:
            getattr(UndoLog(self.run_dir, self.intent.trial), what)(self.intent.fault, self.intent.arguments, *words)

        if error := RunDir(self.run_dir).last_words(write):
            self.trouble = f" (which could not be written down: {error.strerror})"


def _healed(intent: Intent, log: _Log, target: Any) -> Evidence:
    """Heal one fault and write that down."""
    evidence = _heal(intent, log, target)
    if not evidence.observed and hasattr(target, "alive") and not target.alive():
        evidence = _heal(intent, log, None)
    log.write("confirmed", evidence.observed, evidence.text)
    return replace(evidence, text=evidence.text + log.trouble)


def _heal(intent: Intent, log: _Log, target: Any) -> Evidence:
    fault = FAULTS[intent.fault](**intent.arguments)
    if isinstance(fault, LooksFirst):
        fault.recall(intent.noted)
    begin = time.monotonic_ns()
    try:
        if target is None:
            return _heal_without(fault)
        fault.heal(target)
        log.write("healed", begin, time.monotonic_ns())
        return wait_for(lambda: fault.healed(target), HEAL_TIMEOUT_S)
    except TargetGone:
        return _heal_without(fault)
    except Exception as error:  # whatever went wrong with this one, the others must be healed
        return Evidence(False, f"healing failed: {type(error).__name__}: {error}")


def _heal_without(fault: Fault) -> Evidence:
    """Heal a fault whose target is gone: what was broken in the target is gone too, the rest is undone as ever."""
    if fault.needs:
        return GONE
    try:
        fault.heal(None)
    except Exception as error:  # the same
        return Evidence(False, f"healing failed: {type(error).__name__}: {error}")
    return Evidence(True, "undone; the target that it was about is gone, so nobody could look")
