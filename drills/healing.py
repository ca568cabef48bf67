"""Heal what a run broke and nobody healed: at the end of a trial, after Ctrl-C, or from a fresh process."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drills import hooks
from drills.faults import FAULTS
from drills.faults.base import HEAL_TIMEOUT_S, Evidence, Fault, LooksFirst, wait_for
from drills.privacy import vault
from drills.recording.rundir import RunDir
from drills.targets.base import TargetGone
from drills.undo import Intent, UndoLog, unhealed

TURN_S = 2 * HEAL_TIMEOUT_S
GONE = Evidence(True, "what it was broken in is gone, and the fault with it")


def heal_open_faults(run_dir: Path, target: Any) -> list[tuple[Intent, Evidence]]:
    """Heal every fault of the run that was never confirmed as healed, the latest first.

    One fault that cannot be healed, or whose healing cannot be written down, does not keep the others from being
    healed. Whether it helped is looked at once all are: one fault may hide that another is gone. Returns each with what
    was seen. ``target`` is None where it is gone.
    """
    with _turn(run_dir):
        healings = [_Healing(run_dir, intent, target) for intent in unhealed(run_dir)]
        for healing in healings:
            healing.heal()
        return [(healing.intent, healing.confirm()) for healing in healings]


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
class _Healing:
    """Heals one fault of a run, looks whether it helped, and writes both down as far as the disk allows."""

    run_dir: Path
    intent: Intent
    target: Any
    done: Evidence | None = None
    """What is known without another look."""
    trouble: str = ""

    def __post_init__(self) -> None:
        self.fault = FAULTS[self.intent.fault](**self.intent.arguments)
        if isinstance(self.fault, LooksFirst):
            self.fault.recall(self.intent.noted)

    def heal(self) -> None:
        if self.intent.whole:
            self.done = self._tried(self._heal)
            return
        lost = f"its command holds a secret that was kept in {vault.place(self.run_dir)}, and is there no more"
        self.done = Evidence(False, f"{lost}: undo it by hand, as the drill file says")

    def confirm(self) -> Evidence:
        """Look whether it is healed, for 30 s at most."""
        evidence = self.done or self._tried(self._look)
        assert evidence is not None
        if not evidence.observed and hasattr(self.target, "alive") and not self.target.alive():
            evidence = _heal_without(self.fault)
        self._write("confirmed", evidence.observed, evidence.text)
        return replace(evidence, text=evidence.text + self.trouble)

    def _tried(self, what: Callable[[], Evidence | None]) -> Evidence | None:
        try:
            with hooks.at(hooks.Place(Path(self.intent.folder), self.run_dir / "logs" / hooks.LOG)):
                return what()
        except TargetGone:
            return _heal_without(self.fault)
        except Exception as error:  # whatever went wrong with this one, the others must be healed
            return Evidence(False, f"healing failed: {type(error).__name__}: {error}")

    def _heal(self) -> Evidence | None:
        if self.target is None:
            return _heal_without(self.fault)
        begin = time.monotonic_ns()
        self.fault.heal(self.target)
        self._write("healed", begin, time.monotonic_ns())
        return None

    def _look(self) -> Evidence:
        return wait_for(lambda: self.fault.healed(self.target), HEAL_TIMEOUT_S)

    def _write(self, what: str, *words: Any) -> None:
        """``healed`` or ``confirmed`` of the undo log."""
        intent = self.intent

        def write() -> None:
            getattr(UndoLog(self.run_dir, intent.trial), what)(intent.fault, intent.arguments, *words)

        if error := RunDir(self.run_dir).last_words(write):
            self.trouble = f" (which could not be written down: {error.strerror})"


def _heal_without(fault: Fault) -> Evidence:
    """Heal a fault whose target is gone: what was broken in the target is gone too, the rest is undone as ever."""
    if fault.needs:
        return GONE
    try:
        fault.heal(None)
    except Exception as error:  # the same
        return Evidence(False, f"healing failed: {type(error).__name__}: {error}")
    return Evidence(True, "undone; the target that it was about is gone, so nobody could look")
