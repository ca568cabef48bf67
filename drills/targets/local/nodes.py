"""What can be done to the nodes of a lab: killed under a supervisor, paused, kept from using the processor.

Part of the lab's PID 1: nothing here waits for another process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drills.targets.local import throttle

if TYPE_CHECKING:
    from drills.targets.local.lab import Lab

RETRY_S = 0.5


@dataclass
class Supervised:
    """A node that is started again ``after_s`` after it ended; ``due_s`` None: it has not ended, as far as is known."""

    after_s: float
    due_s: float | None = None


@dataclass
class Throttled:
    """A node that may use ``share`` of a processor, with the process that sees to it, and for which process."""

    share: float
    output: Path
    helper: subprocess.Popen[bytes] | None = None
    of: int | None = None
    not_before_s: float = 0.0


class Nodes:
    """The commands about nodes, and what is to be seen to while they are in force."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._supervised: dict[str, Supervised] = {}
        self._throttled: dict[str, Throttled] = {}
        lab.turns.append(self._turn)

    def commands(self) -> dict[str, Callable[..., Any]]:
        return {
            "kill_node": self.kill,
            "revive_node": self.revive,
            "pause_node": self.pause,
            "resume_node": self.resume,
            "slow_node": self.slow,
            "unslow_node": self.unslow,
            "throttled": self.throttled,
        }

    def kill(self, name: str, number: int, restart_after_s: float | None) -> None:
        """Signal a node; with ``restart_after_s`` it is started again so long after its end, until ``revive``."""
        self._lab.breaks(f"{name} killed", lambda: self._revived(name))
        if restart_after_s is not None:
            self._supervised[name] = Supervised(restart_after_s)
        self._lab.kill(name, number)

    def revive(self, name: str) -> None:
        """Start a node again whoever it was that ended or stopped it; one that runs is left alone."""
        self._lab.mends(f"{name} killed")
        self._revived(name)

    def pause(self, name: str) -> None:
        """Stop a node where it is; raises RuntimeError for one that is throttled, whose helper would let it go."""
        if name in self._throttled:
            raise RuntimeError(f"{name} is short of processor time already: it cannot be paused as well")
        self._lab.breaks(f"{name} paused", lambda: self._lab.kill(name, signal.SIGCONT))
        self._lab.kill(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._lab.mends(f"{name} paused")

    def slow(self, name: str, share: float) -> None:
        """Allow a node ``share`` of one processor, also after it was started again, until ``unslow``."""
        if f"{name} paused" in self._lab.broken:
            raise RuntimeError(f"{name} is paused already: it cannot be short of processor time as well")
        self._lab.breaks(f"{name} slowed", lambda: self._unslowed(name))
        self._unslowed(name)
        log = self._lab.settings.logs / f"throttle-{name.replace('/', '-')}-{time.monotonic_ns()}.log"
        self._throttled[name] = Throttled(share, log)
        self._see_to(name, self._throttled[name])

    def unslow(self, name: str) -> None:
        self._lab.mends(f"{name} slowed")

    def throttled(self, name: str) -> bool:
        """Whether the helper of a throttled node says that it is at work."""
        found = self._throttled[name]
        return found.output.exists() and throttle.AT_WORK in found.output.read_text()

    def _revived(self, name: str) -> None:
        self._supervised.pop(name, None)
        self._lab.wake(name)
        self._lab.start_node(name)

    def _unslowed(self, name: str) -> None:
        if found := self._throttled.pop(name, None):
            self._end_helper(found)
        self._let_go(name)

    def _turn(self) -> None:
        """Start nodes that are due, and helpers that have ended."""
        for name, supervised in self._supervised.items():
            self._supervise(name, supervised)
        for name, throttled in self._throttled.items():
            self._see_to(name, throttled)

    def _supervise(self, name: str, supervised: Supervised) -> None:
        now = time.monotonic()
        if name in self._lab.running:
            supervised.due_s = None
        elif supervised.due_s is None:
            supervised.due_s = now + supervised.after_s
        if supervised.due_s is not None and now >= supervised.due_s:
            self._lab.start_node(name, by_supervisor=True)

    def _see_to(self, name: str, throttled: Throttled) -> None:
        """A node has one helper; one whose helper has died may be stopped, so it is let go until it has another."""
        running = self._lab.running.get(name)
        pid = running.process.pid if running else None
        alive = throttled.helper is not None and throttled.helper.poll() is None
        if alive and throttled.of == pid:
            return
        self._end_helper(throttled)
        self._let_go(name)
        if pid is None or time.monotonic() < throttled.not_before_s:
            return
        argv = (sys.executable, "-P", "-m", throttle.__name__, str(pid), str(throttled.share))
        with throttled.output.open("ab") as log:
            throttled.helper = self._lab.spawn(argv, None, (), log)
        throttled.of, throttled.not_before_s = pid, time.monotonic() + RETRY_S

    def _let_go(self, name: str) -> None:
        if running := self._lab.running.get(name):
            throttle.let_go(running.process.pid)

    @staticmethod
    def _end_helper(throttled: Throttled) -> None:
        if throttled.helper is not None:
            throttled.helper.kill()
            throttled.helper.wait()
            throttled.helper = throttled.of = None
