"""Measures: pure functions from one trial's timeline to figures. docs/measuring.md defines each of them.

Nothing here imports ``drills.spec``: the reader of drills asks ``MEASURES`` which objectives there can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from drills.measures.availability import availability, failed_reads, failed_writes
from drills.measures.latency import p50, p99
from drills.measures.model import MEASURES, PHASES, Definition, Measure, Settings, definition, key, unknown
from drills.measures.phases import milestones
from drills.measures.quality import baseline_of, recall
from drills.measures.rpo import duplicated_events, rpo_events, rpo_s
from drills.measures.rto import rto_read, rto_write
from drills.measures.rto_quality import rto_quality
from drills.measures.split_brain import split_brain_events
from drills.record import Timeline

OF_A_TRIAL: dict[str, Callable[[Timeline, Settings], Measure]] = {
    "rto_read_s": rto_read,
    "rto_write_s": rto_write,
    "rto_quality_s": rto_quality,
    "rpo_events": rpo_events,
    "rpo_s": rpo_s,
    "duplicated_events": duplicated_events,
    "split_brain_events": split_brain_events,
}
OF_A_PHASE: dict[str, Callable[[Timeline, Settings, str], Measure]] = {
    "recall_at_20": recall,
    "availability": availability,
    "failed_reads": failed_reads,
    "failed_writes": failed_writes,
    "p50_ms": p50,
    "p99_ms": p99,
}


def measure_trial(timeline: Timeline, settings: Settings | None = None) -> dict[str, Measure]:
    """Every measure of one trial (``Timeline.of_trial``), by the key that ``key`` gives it.

    A measure that fails with an exception is unknown, with the exception as its reason; the others stand.
    """
    settings = settings or Settings()
    found: dict[str, Measure] = {}
    for name, of_trial in OF_A_TRIAL.items():
        found[name] = _guarded(name, partial(of_trial, timeline, settings))
    for base, of_phase in OF_A_PHASE.items():
        name = f"recall_at_{settings.quality_k}" if base == "recall_at_20" else base
        for phase in ("post_fault", "before", "during", "after"):
            keyed = key(name, phase)
            found[keyed] = _guarded(keyed, partial(of_phase, timeline, settings, phase))
    return {name: _with_baseline(measure, found) for name, measure in found.items()}


def _guarded(name: str, measure: Callable[[], Measure]) -> Measure:
    try:
        return measure()
    except Exception as error:  # whatever broke, nothing was observed
        return unknown(name, f"Measuring {name} failed: {type(error).__name__}: {error}")


def _with_baseline(measure: Measure, found: dict[str, Measure]) -> Measure:
    """Hold availability and latency against the same trial's phase before the fault."""
    known = definition(measure.name.partition("@")[0])
    if measure.baseline is not None or known is None or not known.allows_ratio or measure.name.startswith("recall"):
        return measure
    before = found.get(key(measure.name.partition("@")[0], "before"))
    if before is None or before.value is None or before.censored or before.possible is not None:
        return measure
    return replace(measure, baseline=before.value)


__all__ = [
    "MEASURES",
    "PHASES",
    "Definition",
    "Measure",
    "Settings",
    "baseline_of",
    "definition",
    "key",
    "measure_trial",
    "milestones",
]
