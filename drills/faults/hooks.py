"""Activities that run a hook of the service under test: promote the standby, fail back to the primary.

They break nothing and need no healing; the time they take is part of what the drill measures.
"""

from __future__ import annotations

import time
from typing import Any

from drills.errors import TargetError, UsageError
from drills.targets.external.target import ExternalTarget
from drills.targets.registry import attach
from drills.undo import UndoLog


def promote(region: str | None = None) -> dict[str, Any]:
    """Run the hook ``promote``; with ``region`` the record says that this region takes the writes from then on."""
    return _run("promote", region)


def fail_back(region: str | None = None) -> dict[str, Any]:
    """Run the hook ``fail_back``; with ``region`` the record says that this region takes the writes from then on."""
    return _run("fail_back", region)


def _run(name: str, region: str | None) -> dict[str, Any]:
    target, log = attach(), UndoLog.current()
    if not isinstance(target, ExternalTarget):
        raise UsageError(f"drills.faults.hooks.{name}: the {target.kind} target has no hooks, it promotes by itself")
    begin = time.monotonic_ns()
    try:
        said = target.run_hook(name).text
    except TargetError as error:
        log.note("hook.ended", hook=name, ok=False, t_begin=begin, seconds=_seconds_since(begin), text=str(error))
        raise
    log.note("hook.ended", hook=name, ok=True, t_begin=begin, seconds=_seconds_since(begin), text=said)
    if region is not None:  # somewhere between beginning and end: nobody but the hook knows when
        log.note("store.promoted", region=region, by=f"the hook {name}", t_begin=begin)
    return {"hook": name, "text": said}


def _seconds_since(begin_ns: int) -> float:
    return round((time.monotonic_ns() - begin_ns) / 1e9, 3)
