"""Heal a run whose own process cannot: it is gone, or it is stopped or stuck."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drills import hooks, open_runs, undo
from drills.errors import TargetError, UsageError
from drills.faults.base import Evidence
from drills.healing import heal_open_faults
from drills.naming import shown
from drills.privacy import vault
from drills.recording.record import EventWriter
from drills.recording.rundir import RunDir
from drills.targets.external.claim import claim
from drills.targets.external.target import ExternalTarget
from drills.targets.local.standing import exclusive
from drills.targets.local.target import LocalTarget
from drills.targets.registry import attach
from drills.undo import RUN_VARIABLE, Intent
from drills.watchdog import GONE

DYING_S = 0.5
"""A process whose pipe has ended is not gone yet: its children, and its lab, die a moment later."""
CHILDREN = (b"drills.chaos", b"drills.load.prober", b"locustfile.py")


def rescue(run: RunDir, watched: int, why: str, lease_s: float) -> None:
    """Heal everything that ``run`` broke, and say so in its events. ``watched`` is its process, ``why`` what befell it.

    Of a run that is gone also the rest is put in order: a lab that stays serves again, a service that the drill
    deployed is torn down.
    """
    vault.unlock(run.path)
    undo.fence(run.path)
    run.reserve.unlink(missing_ok=True)
    if why == GONE:
        time.sleep(DYING_S)
    _end_children(run, watched)
    hooks.end_interrupted(run.logs / hooks.LOG)
    target = _target_of(run)
    with _alone(target) if why == GONE else contextlib.nullcontext(False) as ours:
        healed = heal_open_faults(run.path, target)
        _note(run, why, lease_s, [_said(intent, evidence) for intent, evidence in healed])
        if ours:
            with contextlib.suppress(TargetError, OSError):
                _leave(target)
    if why == GONE:
        open_runs.close(run)


@contextmanager
def _alone(target: Any) -> Iterator[bool]:
    """Whether no other drill has the target; if so, none gets it meanwhile."""
    with contextlib.ExitStack() as stack:
        try:
            if isinstance(target, ExternalTarget):
                stack.enter_context(claim(target.settings.edge))
            elif isinstance(target, LocalTarget):
                stack.enter_context(exclusive(target.lab_dir))
        except UsageError:
            yield False
        else:
            yield True


def _said(intent: Intent, evidence: Evidence) -> str:
    state = "healed" if evidence.observed else "NOT healed"
    return f"{intent.fault} ({shown(intent.arguments)}): {state}: {evidence.text}"


def _note(run: RunDir, why: str, lease_s: float, healed: list[str]) -> None:
    with contextlib.suppress(OSError):  # a full disk
        events = EventWriter(run.events)
        events.write("guard.watchdog", process=why, lease_s=lease_s, healed=healed)
        events.close()


def _end_children(run: RunDir, watched: int) -> None:
    """Kill the experiment of the run, lest it break something after all was healed, and ask its clients to end."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            command = (entry / "cmdline").read_bytes()
            if not any(word in command for word in CHILDREN):
                continue
            ours = f"{RUN_VARIABLE}={run.path}".encode() in (entry / "environ").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if ours or parent == watched:
                os.kill(int(entry.name), signal.SIGKILL if CHILDREN[0] in command else signal.SIGTERM)


def _target_of(run: RunDir) -> Any:
    """The target that the run is about; None where there was none yet or it is gone."""
    reference = run.path / "target.json"
    if not reference.exists():
        try:
            reference = Path(json.loads(run.meta.read_text())["target"]["reference"])
        except (OSError, ValueError, KeyError):
            return None
    if not reference.exists():
        return None
    target = attach(reference)
    if isinstance(target, LocalTarget) and not target.alive():
        return None
    return target


def _leave(target: Any) -> None:
    """Leave the target as a run that ends well leaves it."""
    if isinstance(target, ExternalTarget):
        target.leave()
    elif isinstance(target, LocalTarget) and not target.ephemeral:
        target.reset()
