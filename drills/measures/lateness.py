"""How well the prober kept its own schedule: what it was late by, it may have hidden or added to every other figure."""

from __future__ import annotations

import math

import numpy as np

from drills.measures.memo import remembered
from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import in_phase
from drills.measures.schedule import PROBER_STREAMS, unobserved
from drills.recording.timeline import Timeline

BASE = "lateness_p99_ms"
SHARE = 0.99
LEAST_PROBES = 100


@remembered
def lateness(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """The 99th percentile in ms of sent - due over all probes of the phase.

    A probe that was not sent, or whose record is missing, may have been late by any time. Unknown with fewer than 100.
    """
    name, requests = key(BASE, phase), timeline.requests
    probes = requests.stream.equals(*PROBER_STREAMS) & requests.sent & in_phase(timeline, phase)
    late_ms = np.sort((requests.t_sent[probes] - requests.t_scheduled[probes]) / 1e6)
    unseen = sum(unobserved(timeline, stream, phase, settings) for stream in PROBER_STREAMS)
    count = len(late_ms) + unseen
    if count < LEAST_PROBES or not len(late_ms):
        return unknown(name, f"Only {count} probes were due in the phase '{phase}'; {LEAST_PROBES} are needed.")
    rank = math.ceil(round(SHARE * count, 6))
    least = max(0.0, float(late_ms[rank - unseen - 1])) if rank > unseen else 0.0
    most = max(0.0, float(late_ms[rank - 1])) if rank <= len(late_ms) else math.inf
    evidence: dict[str, object] = {
        "probes": len(late_ms),
        "unobserved": unseen,
        "bound_ms": settings.lateness_p99_bound_ms,
        "p50_ms": float(late_ms[math.ceil(0.5 * len(late_ms)) - 1]),
        "longest_ms": float(late_ms[-1]),
    }
    return Measure(
        name=name,
        value=most if math.isfinite(most) else None,
        unit="ms",
        possible=None if least == most else (least, most),
        reason=_remark(most, unseen, settings),
        evidence=evidence,
    )


def fell_behind(timeline: Timeline, settings: Settings, phase: str) -> str | None:
    """A sentence where the prober itself fell behind in the phase; None where it kept its schedule."""
    measured = lateness(timeline, settings, phase)
    if measured.value is None or measured.value <= settings.lateness_p99_bound_ms:
        return None
    return _remark(measured.value, 0, settings)


def _remark(p99_ms: float, unseen: int, settings: Settings) -> str | None:
    if p99_ms <= settings.lateness_p99_bound_ms:
        return None
    if unseen and not math.isfinite(p99_ms):
        return f"The prober itself fell behind: {unseen} probes were not sent or not recorded."
    return (
        f"The prober itself fell behind: 1 % of its probes were sent {p99_ms:.1f} ms or more after they were due "
        f"(bound: {settings.lateness_p99_bound_ms:g} ms), and latencies count that in."
    )
