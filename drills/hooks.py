"""Commands and Chaos Toolkit providers of a drill's own: run to their end or their timeout, all they say is kept.

A hook inherits recdr's environment, so that secrets need not stand in a drill, and runs in the drill file's folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.errors import TargetError, UsageError
from drills.home import home
from drills.privacy import redacted
from drills.privacy.sieve import Sieve
from drills.processes import die_with_parent, memory_file
from drills.spec import Hook
from drills.spec.hooks import DEFAULT_TIMEOUT_S
from drills.undo import FOLDER_VARIABLE, RUN_VARIABLE

LAST_WORDS = 400
LOG = "hooks.log"
YES, NO = 0, 1
"""The exit codes that answer a question. A shell ends with 126 or 127 where there is nothing to run, ``drills.chaos``
with 2 where the activity itself failed: who ends with anything else has not got as far as an answer."""


@dataclass(frozen=True)
class Place:
    """Where a hook runs: in ``folder`` (the drill file's), with what it says appended to ``log``."""

    folder: Path
    log: Path


@dataclass(frozen=True)
class Ended:
    """How a hook ended. ``ok``: as it should. ``answered`` False: that is no answer to a yes-or-no question."""

    ok: bool
    answered: bool
    text: str


_PLACE: ContextVar[Place | None] = ContextVar("place", default=None)


@contextlib.contextmanager
def at(place: Place) -> Iterator[None]:
    """Have the hooks of faults run there meanwhile."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


def place() -> Place:
    """Where hooks run in this process: as ``at`` says, else as the drill that started it says, else right here."""
    if chosen := _PLACE.get():
        return chosen
    run = os.environ.get(RUN_VARIABLE)
    return Place(
        Path(os.environ.get(FOLDER_VARIABLE) or Path.cwd()),
        (Path(run) / "logs" if run else home()) / LOG,
    )


def of(written: Mapping[str, Any]) -> Hook:
    """The hook that a fault's argument describes: ``{command: [...], timeout_s: 5}`` or ``{provider: {...}}``.

    Raises UsageError for anything else: a plain ``chaos run`` has not read the drill as recdr does.
    """
    given = {"command", "provider"} & written.keys()
    if len(given) != 1 or written.keys() - {"command", "provider", "tolerance", "timeout_s"}:
        raise UsageError(f"{dict(written)} is neither {{command: [...], timeout_s: ...}} nor {{provider: {{...}}}}")
    command = written.get("command")
    if command is not None and not (isinstance(command, list) and command):
        raise UsageError(f"command: {command!r} is not a list of words such as [./kill.sh, primary]")
    return Hook(
        command=tuple(map(str, command)) if command else None,
        provider=written.get("provider"),
        tolerance=written.get("tolerance"),
        timeout_s=float(written.get("timeout_s", DEFAULT_TIMEOUT_S)),
    )


def run(name: str, hook: Hook, where: Place) -> Ended:
    """Run a hook and say how it ended; at its timeout it is killed with every process of its group."""
    sieve = _sieve(where.log)
    sieve.drain(whole=True)  # what others, left in the background, have said since
    sieve.note(f"--- {name}\n")
    try:
        code = _run(hook, where, sieve.fileno())
    except OSError as error:
        return Ended(False, False, redacted(f"{name} cannot be run: {error.strerror}: {error.filename}"))
    words = _last_words(sieve.drain(whole=True))
    if code is None:
        return Ended(False, False, f"{name} did not end within {hook.timeout_s:g} s and was killed{words}")
    return Ended(code == YES, code in (YES, NO), f"{name} ended with {code}{words}")


def must(name: str, hook: Hook, where: Place) -> Ended:
    """Run a hook that has to succeed; raises TargetError with its last words."""
    ended = run(name, hook, where)
    if not ended.ok:
        raise TargetError(f"the hook {ended.text} (all it said: {where.log})")
    return ended


def end_interrupted(log: Path) -> None:
    """Kill what is left of a hook whose runner was killed, lest it break something after all was healed."""
    running = _running(log)
    with contextlib.suppress(OSError, ValueError):
        os.killpg(int(running.read_text()), signal.SIGKILL)
    running.unlink(missing_ok=True)


def _running(log: Path) -> Path:
    """Where the process group of the hook that runs is noted."""
    return log.with_suffix(".pid")


def _run(hook: Hook, where: Place, output: int) -> int | None:
    """The exit code; None where it had to be killed. What it leaves running in the background goes on running."""
    with _argv(hook, where.folder) as (argv, fds):
        process = subprocess.Popen(
            argv,
            cwd=where.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=fds,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing is held that the child could need
        )
    with contextlib.suppress(OSError):  # the same
        _running(where.log).write_text(str(process.pid))
    try:
        return process.wait(timeout=hook.timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:  # too slow, or somebody interrupted us
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _running(where.log).unlink(missing_ok=True)


@contextlib.contextmanager
def _argv(hook: Hook, folder: Path) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The command line of a hook, with the descriptors it needs; chaoslib gets a process of its own (see chaos.py)."""
    if hook.command is not None:
        yield list(hook.command), ()
        return
    activity = {"type": "probe", "name": "hook", "provider": hook.provider, "tolerance": hook.tolerance}
    fd = memory_file("hook", {"activity": activity, "modules": str(folder)})
    try:
        yield [sys.executable, "-P", "-m", "drills.chaos", f"/proc/self/fd/{fd}"], (fd,)
    finally:
        os.close(fd)


def _last_words(said: str) -> str:
    words = " ".join(said[-4 * LAST_WORDS :].split())
    return f": {words[-LAST_WORDS:]}" if words else ""


_SIEVES: dict[Path, Sieve] = {}


def _sieve(log: Path) -> Sieve:
    """One a log for as long as this process lives, for what hooks leave in the background writes into it, too."""
    if log not in _SIEVES:
        log.parent.mkdir(parents=True, exist_ok=True)
        _SIEVES[log] = Sieve(log)
    return _SIEVES[log]


def collect(log: Path) -> None:
    """Have in the log what hooks left in the background said by now."""
    if sieve := _SIEVES.pop(log, None):
        sieve.drain(whole=True)
        sieve.close()
