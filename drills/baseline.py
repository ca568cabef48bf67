"""Baselines: steady measures recorded with nothing broken, kept for later runs of the same thing.

A baseline belongs to one model, topology, load and set of evaluation users; its fingerprint is over all of them, so a
drill is never held against the baseline of something else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from drills.rundir import write_json
from drills.spec import Drill


def fingerprint(drill: Drill, model_version: str) -> str:
    """16 hex digits over everything that makes two runs comparable in steady state."""
    probes = drill.probes
    parts = {
        "model": model_version,
        "topology": dataclasses.asdict(drill.topology),
        "load": dataclasses.asdict(drill.load),
        "probes": dataclasses.asdict(probes),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load(home: Path, key: str) -> dict[str, Any] | None:
    """The recorded baseline, or None where there is none that can be read."""
    try:
        found = json.loads((home / "baselines" / f"{key}.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def save(home: Path, key: str, baseline: dict[str, Any]) -> None:
    folder = home / "baselines"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{key}.json", baseline)
