"""Measures: pure functions from one trial's timeline to figures. docs/measuring.md defines each of them.

Nothing here imports ``drills.spec``: the reader of drills asks ``MEASURES`` which objectives there can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from drills.measures.availability import availability, failed_reads, failed_writes
from drills.measures.latency import p50, p99
from drills.measures.lateness import lateness
from drills.measures.model import MEASURES, PHASES, Definition, Measure, Settings, absent, definition, key, unknown
from drills.measures.overlap import overlap
from drills.measures.phases import milestones
from drills.measures.quality import knows_right_answers, recall, recorded_baseline
from drills.measures.rpo import duplicated_events, rpo_events, rpo_s, stale_events
from drills.measures.rto import rto_read, rto_write
from drills.measures.rto_quality import rto_quality
from drills.measures.split_brain import split_brain_events
from drills.measures.steady import baseline_of
from drills.measures.throughput import throughput
from drills.recording.timeline import Timeline

OF_A_TRIAL: dict[str, Callable[[Timeline, Settings], Measure]] = {
    "rto_read_s": rto_read,
    "rto_write_s": rto_write,
    "rto_quality_s": rto_quality,
    "rpo_events": rpo_events,
    "rpo_s": rpo_s,
    "duplicated_events": duplicated_events,
    "split_brain_events": split_brain_events,
    "stale_events": stale_events,
}
OF_A_PHASE: dict[str, Callable[[Timeline, Settings, str], Measure]] = {
    "recall_at_20": recall,
    "overlap_at_20": overlap,
    "availability": availability,
    "failed_reads": failed_reads,
    "failed_writes": failed_writes,
    "p50_ms": p50,
    "p99_ms": p99,
    "throughput_rps": throughput,
    "lateness_p99_ms": lateness,
}


def measure_trial(timeline: Timeline, settings: Settings | None = None) -> dict[str, Measure]:
    """Every measure of one trial (``Timeline.of_trial``), by the key that ``key`` gives it.

    What the service cannot show by its nature (``absent``) is left out. A measure that fails with an exception is
    unknown, with the exception as its reason; the others stand.
    """
    settings = settings or Settings()
    found: dict[str, Measure] = {}
    for name, of_trial in OF_A_TRIAL.items():
        found[name] = _guarded(name, partial(of_trial, timeline, settings))
    for base, of_phase in OF_A_PHASE.items():
        name = base.replace("_at_20", f"_at_{settings.quality_k}")
        for phase in ("post_fault", "before", "during", "after"):
            keyed = key(name, phase)
            found[keyed] = _guarded(keyed, partial(of_phase, timeline, settings, phase))
    left_out = absent(settings)
    return {
        name: _with_baseline(timeline, measure, found)
        for name, measure in found.items()
        if name.partition("@")[0] not in left_out
    }


def _guarded(name: str, measure: Callable[[], Measure]) -> Measure:
    try:
        return measure()
    except Exception as error:  # whatever broke, nothing was observed
        return unknown(name, f"Measuring {name} failed: {type(error).__name__}: {error}")


def _with_baseline(timeline: Timeline, measure: Measure, found: dict[str, Measure]) -> Measure:
    """Hold availability, latency and throughput against what they were with nothing broken.

    That is the recorded baseline where it was recorded on this host, else the same trial's phase before the fault.
    """
    base = measure.name.partition("@")[0]
    known = definition(base)
    if measure.baseline is not None or known is None or not known.allows_ratio or base.startswith("recall"):
        return measure
    recorded = recorded_baseline(timeline)
    values = recorded.get("measures")
    steady = values.get(base) if isinstance(values, dict) and recorded.get("same_host") is True else None
    if isinstance(steady, int | float):
        return replace(measure, baseline=float(steady), evidence={**measure.evidence, "baseline_from": "recorded"})
    before = found.get(key(base, "before"))
    if before is None or before.value is None or before.censored or before.possible is not None:
        return measure
    return replace(measure, baseline=before.value, evidence={**measure.evidence, "baseline_from": "before"})


__all__ = [
    "MEASURES",
    "PHASES",
    "Definition",
    "Measure",
    "Settings",
    "absent",
    "baseline_of",
    "definition",
    "key",
    "knows_right_answers",
    "measure_trial",
    "milestones",
]
