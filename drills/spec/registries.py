"""The faults and measures that a drill file may name.

They are looked up when a file is read, not when this package is imported: faults and measures use the
types of ``drills.spec``, so importing them from here would be a loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

FAULT_PACKAGE = "drills.faults"


@dataclass(frozen=True)
class MeasureRule:
    """What an objective on a measure may say. ``unit``: s, ms, ratio, events, requests."""

    unit: str
    phase: bool
    ratio: bool
    higher_is_better: bool
    meaning: str


def measures() -> dict[str, MeasureRule]:
    """All measures by name."""
    found: Mapping[str, Any] = import_module("drills.measures").MEASURES
    return {
        name: MeasureRule(d.unit, d.allows_phase, d.allows_ratio, d.higher_is_better, d.meaning)
        for name, d in found.items()
    }


def faults() -> dict[str, type[Any]]:
    """All faults by name; a fault's dataclass fields are its arguments."""
    return dict(import_module(FAULT_PACKAGE).FAULTS)
