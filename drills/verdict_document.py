"""``verdict.json``: a verdict as a document that is the same, byte for byte, on any machine."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields

from drills import over_trials
from drills.outcome import Judged
from drills.spec import Objective
from drills.verdict import Verdict

SCHEMA_VERSION = 1
_DIGITS = 6


def to_document(verdict: Verdict) -> dict[str, object]:
    """``verdict.json`` as plain values: no wall-clock time, no path, nothing of the machine."""
    several = len(verdict.trials) > 1
    return {
        "schema_version": SCHEMA_VERSION,
        "outcome": str(verdict.outcome),
        "reasons": list(verdict.reasons),
        "run": verdict.run,
        "drill": verdict.drill,
        "judged_on": verdict.judged_on,
        "baseline": verdict.baseline,
        "trials": [
            {
                "trial": t.trial,
                "variant": t.variant,
                "valid": t.valid,
                "outcome": str(t.outcome),
                "reasons": list(t.reasons),
                "faults": t.faults,
                "phases": t.phases,
                "modelled": t.modelled,
                "measures": {name: _entry(judged) for name, judged in t.measures.items()},
            }
            for t in verdict.trials
        ],
        "measures": {
            name: _entry(judged) | (_spread(verdict, name) if several else {})
            for name, judged in verdict.measures.items()
        },
    }


def to_json(verdict: Verdict) -> bytes:
    """The document of ``to_document``, byte for byte the same for the same timeline on any machine."""
    return _encode(to_document(verdict))


def _encode(document: object) -> bytes:
    text = json.dumps(_settled(document), indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def _settled(value: object) -> object:
    """Plain JSON: floats to six significant digits (the last ones vary by machine), infinities null."""
    if isinstance(value, Mapping):
        return {str(k): _settled(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_settled(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def _entry(judged: Judged) -> dict[str, object]:
    measure, objective = judged.measure, judged.objective
    return {
        "value": measure.value,
        "unit": measure.unit,
        "resolution": measure.resolution,
        "interval": measure.interval,
        "possible": measure.possible,
        "censored": measure.censored,
        "objective": _objective(objective) if objective else None,
        "baseline": measure.baseline,
        "outcome": None if judged.outcome is None else str(judged.outcome),
        "reason": judged.reason or measure.reason,
        "evidence": measure.evidence,
    }


def _objective(objective: Objective) -> dict[str, object]:
    stated = ((f.name, getattr(objective, f.name)) for f in fields(objective) if f.name != "measure")
    return {name: value for name, value in stated if value is not None}


def _spread(verdict: Verdict, name: str) -> dict[str, object]:
    return {"over_trials": over_trials.spread([trial.measures[name].measure for trial in verdict.trials])}
