"""The models that a drill's nodes serve: commands of recsvc, run as processes of their own."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drills.errors import RecdrError, TargetError, UsageError
from drills.processes import die_with_parent
from recsvc.bundle import BundleError, find

# what is being done, how much is done, out of how much (None: unknown)
Progress = Callable[[str, float | None, float | None], None]

DEFAULT = "default"
"""The reference model: the one that a drill deploys where nobody names another."""
_UNUSABLE = 2
CLEANING_UP_S = 30.0

_end_with_parent = functools.partial(die_with_parent, signal.SIGTERM)
"""A killed recdr leaves no training behind that nobody waits for. Asked to end, it removes what it had begun."""


def prepare(cache: Path, progress: Progress, which: str | None = None) -> Path:
    """The bundle directory of a model: the reference one, trained first where the cache has none, or the one named.

    ``which`` is a bundle's directory or the beginning of its version in the cache. Training runs in a process of its
    own, so that torch's memory is gone when the drill begins. Raises UsageError where there is no such model, else
    TargetError with the last words of a preparation that failed.
    """
    if which not in (None, DEFAULT):
        try:
            return find(cache / "bundles", which).path.resolve()
        except BundleError as error:
            raise UsageError(f"--model {error}") from error
    try:
        return Path(call("train", [], cache, progress)["bundle"])
    except RecdrError as error:
        raise TargetError(f"the model could not be prepared: {error}") from error


def call(command: str, arguments: Sequence[str], cache: Path, progress: Progress) -> dict[str, Any]:
    """Run a command of recsvc and return its answer.

    Raises UsageError with the reason where the data or the cache cannot be used, and TargetError with its last words
    where it broke. Interrupted, it leaves nothing half done.
    """
    argv = [sys.executable, "-P", "-m", f"recsvc.commands.{command}", "--cache", str(cache), *arguments]
    words: list[str] = []
    reason = ""
    with (
        # A pipe holds 64 KiB: a longer answer would wait for a reader while its reader waits for the end of stderr.
        tempfile.TemporaryFile("w+", encoding="locale") as answer,
        subprocess.Popen(
            argv,
            stdout=answer,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock that a display's thread might hold
        ) as process,
    ):
        assert process.stderr is not None
        try:
            for line in process.stderr:
                try:
                    step = json.loads(line)
                    if step["stage"] == "error":  # it is raised below, and so said once
                        reason = step["message"]
                        continue
                    progress(f"{step['stage']}: {step['message']}", step.get("done"), step.get("total"))
                except (ValueError, KeyError, TypeError):
                    words.append(line.strip())
            process.wait()
            answer.seek(0)
            lines = answer.read().splitlines()
        except BaseException:
            # A terminal signals the whole group; a signal to this process alone has to be passed on.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(CLEANING_UP_S)
            except subprocess.TimeoutExpired:
                process.kill()  # what it had begun is swept by whoever makes the same next
            raise
    if process.returncode == _UNUSABLE:
        raise UsageError(reason or words[-1].rpartition("error: ")[2])
    if process.returncode != 0:
        raise TargetError(" ".join(words[-4:]) or reason or f"it ended with {process.returncode}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found
