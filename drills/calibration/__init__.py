"""How far recdr's measures are off on this host: found by ``recdr calibrate``, and what a report says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.recording import rundir

FILE = "calibration.json"
SCHEMA_VERSION = 1


def load(home: Path) -> dict[str, Any] | None:
    """The calibration of this host; None where there is none, it cannot be read, or it is another host's.

    Without its single ``figures``: they are many, and what is loaded goes into every run's ``meta.json``.
    """
    try:
        found = json.loads((home / FILE).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
        return None
    found.pop("figures", None)
    return found if found.get("host") == rundir.host_facts() else None


@dataclass(frozen=True)
class Error:
    """How far one measure was off over all scripted outages. ``worst`` keeps its sign; all in ``unit``.

    ``within``: PASS, FAIL or UNKNOWN, as the calibration found. ``observed`` of ``n`` repetitions gave a figure.
    """

    measure: str
    unit: str
    n: int
    observed: int
    mean: float | None
    worst: float | None
    within: str
    recorded_at: str

    @property
    def sentence(self) -> str:
        """What a report says of the measure."""
        day, told = self.recorded_at[:10], "scripted outage" + ("s" if self.n != 1 else "")
        if self.mean is None or self.worst is None:
            return f"{self.measure} was read in none of {self.n} {told} ({day})."
        missing = f"; {self.n - self.observed} of them were not read" if self.observed < self.n else ""
        verdict = "" if self.within == "PASS" else f"; the calibration is {self.within}"
        if not self.worst:
            return f"{self.measure} was exact in {self.observed} of {self.n} {told} ({day}{missing}{verdict})."
        mean, worst = (_with_unit(error, self.unit) for error in (self.mean, self.worst))
        return (
            f"{self.measure} was off by {worst} at worst and {mean} on average over {self.n} {told} "
            f"({day}{missing}{verdict})."
        )


def error_of(calibration: dict[str, Any] | None, measure: str) -> Error | None:
    """The error of ``measure`` over all shapes; None without a calibration, or where it says nothing of it."""
    row = (calibration or {}).get("measures", {}).get(measure)
    if calibration is None or row is None:
        return None
    return Error(
        measure=measure,
        unit=row["unit"],
        n=row["n"],
        observed=row["observed"],
        mean=row["mean_error"],
        worst=row["worst_error"],
        within=row["outcome"],
        recorded_at=calibration["recorded_at"],
    )


def _with_unit(error: float, unit: str) -> str:
    """An error with its sign; seconds as milliseconds."""
    if unit == "s":
        return f"{1000 * error:+.1f} ms"
    return f"{error:+.3g}" + ("" if unit == "ratio" else f" {unit}")
