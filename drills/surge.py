"""How a fault has a run's load be more: ``load.json`` in the run directory, which the users' processes follow.

The file holds ``factor``, the product of the surges in force, and each surge by name, so that two may overlap. One with
an end of its own counts until then. No file, no surge.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.recording.record import read_events, recent_requests

SETTLED_S = 0.3
"""What the users' processes write reaches the record this much later at most."""

_RECENT_BYTES = 2**20
"""Seconds of the record at any rate that a drill may ask for."""


@dataclass(frozen=True)
class Load:
    """The load of one trial of a run that goes on. ``rate`` is what the drill asks for, in requests a second."""

    run: Path
    trial: int
    rate: float

    @classmethod
    def of(cls, run: Path, trial: int) -> Load | None:
        """The load that runs now; None where none was started in this trial, or it was stopped."""
        own = [event for event in read_events(run / "events.jsonl") if event.trial == trial]
        changes = [event for event in own if event.kind in ("load.started", "load.stopped")]
        if not changes or changes[-1].kind != "load.started":
            return None
        rate = float(changes[-1].data.get("load_rps", 0.0))
        return cls(run, trial, rate) if rate > 0 else None

    def offered_rps(self, seconds: float) -> float:
        """How many requests the users sent a second, within the last ``seconds`` that are surely on record."""
        until = time.monotonic_ns() - round(SETTLED_S * 1e9)
        since = until - round(seconds * 1e9)
        sent = 0
        for part in (self.run / "parts").glob(f"{self.trial}-load-*.part"):
            sent += sum(since <= request.t_sent < until for request in recent_requests(part, _RECENT_BYTES))
        return sent / seconds


def path(run: Path) -> Path:
    """Where the surges of a run stand."""
    return run / "load.json"


def factor(of: Path) -> float:
    """By how much the load is multiplied now; 1 without a surge, and where the file says nothing sensible."""
    try:
        return _product(_read(of))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return 1.0


def of_others(run: Path, name: str) -> float:
    """By how much all surges but this one multiply the load of a run now."""
    return _product({other: surge for other, surge in _surges(run).items() if other != name})


def begin(run: Path, name: str, by: float, until_ns: int | None = None) -> None:
    """Multiply the load by ``by`` until ``end``, or at the latest until that moment (monotonic); idempotent."""
    surges = _surges(run)
    surges[name] = {"factor": by, "until_ns": until_ns}
    _write(run, surges)


def end(run: Path, name: str) -> None:
    """Take a surge back; idempotent, also where there never was one."""
    surges = _surges(run)
    if surges.pop(name, None) is not None:
        _write(run, surges)


def _surges(run: Path) -> dict[str, Any]:
    try:
        return _read(path(run))
    except (OSError, ValueError, KeyError):
        return {}


def _read(of: Path) -> dict[str, Any]:
    surges: dict[str, Any] = json.loads(of.read_bytes())["surges"]
    return surges


def _product(surges: dict[str, Any]) -> float:
    now = time.monotonic_ns()
    in_force = [s for s in surges.values() if s["until_ns"] is None or now < s["until_ns"]]
    return math.prod(float(s["factor"]) for s in in_force)


def _write(run: Path, surges: dict[str, Any]) -> None:
    """As a whole or not at all: the users' processes read it at any moment."""
    if not surges:
        path(run).unlink(missing_ok=True)
        return
    partial = path(run).with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps({"factor": _product(surges), "surges": surges}))
    partial.replace(path(run))
