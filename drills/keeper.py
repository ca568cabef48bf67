"""Keeps a run's promise to leave nothing broken: says that it is alive, as long as it is, to those who heal if not.

There are two of them, since either may be lost too: the lab's own PID 1, which heals what is broken inside the lab, and
the watchdog, a process beside this one that heals from the undo log what was broken outside. A thread tells both, about
once a second; the main thread tells the thread that it is not stuck.
"""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from drills import processes, watchdog
from drills.errors import TargetError
from drills.interruption import held
from drills.recording.rundir import RunDir
from drills.targets.base import Leased, LeaseLost, TargetGone

PROMPT_S = 10.0
"""So long a step of a trial may take the main thread before it counts as stuck."""
SILENT_S = 5.0
WATCHDOG_ENDS_S = 2.0


@dataclass
class Keeper:
    """Renews the lease of ``lease_s``; ``check`` says whether it still has it."""

    run: RunDir
    lease_s: float
    _target: Any = None
    _watchdog: subprocess.Popen[bytes] | None = None
    _pipe: int = -1
    _lost: str | None = None
    _due: float = math.inf
    _told: float = field(default_factory=time.monotonic)
    _answered: float = field(default_factory=time.monotonic)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def hold(self, target: Any) -> None:
        """Have ``target`` heal itself should this process not be heard from; raises TargetError if it will not."""
        if isinstance(target, Leased):
            target.renew(self.lease_s)
            self._answered = time.monotonic()
            self._target = target

    def check(self) -> None:
        """Say that the main thread goes on; raises LeaseLost once the promise could not be kept any more."""
        if self._lost is not None:
            raise LeaseLost(self._lost)
        if not math.isinf(self._due):
            self._due = time.monotonic() + PROMPT_S

    @contextmanager
    def prompt(self) -> Iterator[None]:
        """In the block the main thread calls ``check`` often, or else it is stuck, and counts as stalled."""
        self._due = time.monotonic() + PROMPT_S
        try:
            yield
        finally:
            self._due = math.inf

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """In the block, inside one that is ``prompt``, healing takes the time that it takes."""
        before, self._due = self._due, math.inf
        try:
            yield
        finally:
            self._due = before if math.isinf(before) else time.monotonic() + PROMPT_S

    def start(self) -> None:
        """Start the watchdog and the thread."""
        with held():  # or nobody could tell the watchdog that all went well
            self._watchdog, self._pipe = watchdog.start(self.run, self.lease_s)
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """All is healed: nobody needs to be told any more. Ends the watchdog and lets go of the target."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()  # it waits for the lab for at most 2 s
        if self._watchdog is not None:
            with suppress(OSError):
                os.write(self._pipe, watchdog.WELL)
            os.close(self._pipe)
            processes.let_end(self._watchdog, WATCHDOG_ENDS_S)
        if self._target is not None:
            with suppress(TargetError):
                self._target.release()

    def _keep(self) -> None:
        every_s = min(1.0, self.lease_s / 5)
        while not self._ended.wait(every_s):
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now > self._due:
            return
        with suppress(OSError):  # first, for asking the lab may take its time
            os.write(self._pipe, watchdog.ALIVE)
        silent_s, self._told = now - self._told, now
        if self._lost is None:
            self._lost = self._expired(silent_s) if silent_s > self.lease_s else self._why_lost(now, silent_s)

    def _why_lost(self, now: float, silent_s: float) -> str | None:
        """Why this run must end, or None; renews the lease."""
        assert self._watchdog is not None
        if self._watchdog.poll() is not None or processes.stopped(self._watchdog.pid):
            return "the run's watchdog was killed or stopped: nobody would heal if recdr died"
        if self._target is None:
            return None
        try:
            self._target.renew(self.lease_s)
        except LeaseLost:
            return self._expired(silent_s)
        except TargetGone:
            return "the lab is gone: its first process was killed or ended"
        except TargetError as error:
            waited_s = now - self._answered
            too_long = waited_s > min(SILENT_S, self.lease_s / 2)
            return f"the lab has not answered for {waited_s:.0f} s: {error}" if too_long else None
        self._answered = now
        return None

    def _expired(self, silent_s: float) -> str:
        return (
            f"the lease of guard.lease_s ({self.lease_s:g} s) expired: recdr was stopped or held up for "
            f"{silent_s:.0f} s, so everything that was broken has been healed without it"
        )


@contextmanager
def keeping(run: RunDir, lease_s: float) -> Iterator[Keeper]:
    """A keeper for the block, in which everything that is broken is healed again."""
    keeper = Keeper(run, lease_s)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.end()
