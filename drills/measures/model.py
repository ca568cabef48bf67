"""What a measure is, which measures there are, and the settings that define them (docs/measuring.md)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

PHASES = ("before", "during", "after", "post_fault")
DEFAULT_PHASE = "post_fault"


@dataclass(frozen=True)
class Measure:
    """One figure taken from a timeline, with everything needed to believe it.

    ``value`` is None where it was not observed. ``interval`` holds the uncertainty of the method (probe
    spacing, sampling); it informs and does not decide. ``possible`` is set only where records are missing:
    every value that fits what *was* recorded lies in it, and both ends must meet an objective for a PASS.
    ``censored``: the true value is at least ``value``. ``baseline`` is what a ratio objective divides by.
    """

    name: str
    value: float | None
    unit: str
    resolution: float | None = None
    interval: tuple[float, float] | None = None
    possible: tuple[float, float] | None = None
    censored: bool = False
    reason: str | None = None
    evidence: dict[str, object] = field(default_factory=dict)
    baseline: float | None = None


class Definition(NamedTuple):
    """What an objective may ask of a measure."""

    unit: str
    allows_phase: bool
    allows_ratio: bool
    higher_is_better: bool
    meaning: str
    only_grows: bool = False
    """More of the same trial can only make it worse: a violation is certain even in a trial cut short."""


MEASURES: dict[str, Definition] = {
    "rto_read_s": Definition("s", False, False, False, "time until reads worked again and kept working", True),
    "rto_write_s": Definition("s", False, False, False, "time until writes worked again and kept working", True),
    "rto_quality_s": Definition("s", False, False, False, "time until recommendations were as good as before", True),
    "rpo_events": Definition("events", False, False, False, "number of acknowledged events that a region lost", True),
    "rpo_s": Definition("s", False, False, False, "age at the fault of the oldest event lost", True),
    "duplicated_events": Definition("events", False, False, False, "number of events stored more than once", True),
    "split_brain_events": Definition(
        "events", False, False, False, "number of times that both regions acknowledged events in turn", True
    ),
    "recall_at_20": Definition("ratio", True, True, True, "share of held-out items among the first 20 recommended"),
    "availability": Definition("ratio", True, True, True, "share of requests that succeeded"),
    "failed_reads": Definition("requests", True, False, False, "number of reads that failed as clients saw them", True),
    "failed_writes": Definition(
        "requests", True, False, False, "number of writes that failed as clients saw them", True
    ),
    "overlap_at_20": Definition(
        "ratio", True, False, True, "overlap of the first 20 recommended with the baseline's own lists"
    ),
    "p50_ms": Definition("ms", True, True, False, "latency that half of the reads stayed within"),
    "p99_ms": Definition("ms", True, True, False, "latency that 99 % of the reads stayed within"),
    "throughput_rps": Definition("requests/s", True, True, True, "number of successful answers a second"),
    "lateness_p99_ms": Definition("ms", True, False, False, "time within which 99 % of the probes were sent"),
    "stale_events": Definition(
        "events", False, False, False, "number of acknowledged events that a region lacked at first", True
    ),
}


def definition(name: str) -> Definition | None:
    """The definition of ``name`` (``recall_at_K`` and ``overlap_at_K`` for every K to 999); None: no measure."""
    if found := re.fullmatch(r"(recall_at|overlap_at)_([1-9]\d{0,2})", name):
        known = MEASURES[f"{found[1]}_20"]
        return known._replace(meaning=known.meaning.replace("first 20", f"first {found[2]}"))
    return MEASURES.get(name)


def key(name: str, phase: str | None) -> str:
    """How a measure is called in a verdict: ``p99_ms`` since the fault, or ``p99_ms@before``."""
    known = definition(name)
    if known is None or not known.allows_phase or phase in (None, DEFAULT_PHASE):
        return name
    return f"{name}@{phase}"


@dataclass(frozen=True)
class Settings:
    """The thresholds that the definitions rest on; the defaults are documented in docs/measuring.md."""

    window_s: float = 2.0
    """A recovery must hold over every window of this length until the end of the trial."""
    success_ratio: float = 0.99
    """Share of a window's probes that must be answered well within ``latency_bound_s``."""
    latency_bound_s: float = 1.0
    """A probe answered later than this counts as failed."""
    prompt_s: float = 0.4
    """A probe answered later than this counts as slow."""
    prompt_ratio: float = 0.95
    """Share of a window's probes that must be answered within ``prompt_s``."""
    lateness_bound_s: float = 0.05
    """A probe sent later than this after it was due shows that the prober itself was held up."""
    lateness_p99_bound_ms: float = 5.0
    """Where 1 % of a phase's probes were sent later than this, its latencies say that the prober fell behind."""
    in_flight_s: float = 2.0
    """The longest that a probe is under way: one without a record, due so long before the fault, may have met it."""
    settle_s: float = 0.1
    """Probes due in the last moments before the load stopped are left out."""
    quality_k: int = 20
    quality_window: int = 100
    """Requests in a rolling window of ``rto_quality_s``."""
    quality_ratio: float = 0.95
    """Share of the baseline's hits that such a window must reach."""
    min_users: int = 30
    """Fewer distinct held-out users than this say nothing about recall."""
    min_lists: int = 10
    """Fewer distinct users with comparable lists than this say nothing about overlap, nor about frozen lists."""
    overlap_p: float = 0.9
    """How much less each next rank weighs in an overlap."""
    regions: tuple[str, ...] = ("primary", "standby")
    """Regions whose event logs must have been read back; none: the service cannot be read back."""
    logs_listed: bool = True
    """Whether a region lists all that it has stored; else it is asked only for events that were sent."""
    shows_repeats: bool = True
    """Whether reading back shows how often an event is stored."""
    writes: bool = True
    """Whether the service takes writes at all."""
    names_region: bool = True
    """Whether its answers say which region gave them."""
    held_out: bool = True
    """Whether it is known which items an evaluation user should be recommended."""
    personal: bool = True
    """Whether different users should get different lists."""


UNSETTLED = math.inf
"""The open end of ``Measure.possible`` where nothing bounds the value from above."""


def absent(settings: Settings) -> dict[str, str]:
    """Measures that the service cannot have, by name, each with a sentence that says why."""
    found: dict[str, str] = {}
    if not settings.regions:
        why = "The service has no way to read its events back, so nobody knows which it kept."
        found |= dict.fromkeys(("rpo_events", "rpo_s", "duplicated_events", "stale_events"), why)
    elif not settings.shows_repeats:
        found["duplicated_events"] = "A look-up by id does not show how often the service has stored an event."
    if not settings.names_region:
        found["split_brain_events"] = "The service's answers do not say which region gave them."
    if not settings.writes:
        found |= dict.fromkeys(_OF_WRITES, "The service takes no writes.")
    if not settings.held_out:
        why = "No evaluation user has held-out items, so nobody knows what should be recommended."
        found |= {f"recall_at_{settings.quality_k}": why, "rto_quality_s": why}
    return found


_OF_WRITES = (
    "rto_write_s",
    "rpo_events",
    "rpo_s",
    "duplicated_events",
    "stale_events",
    "split_brain_events",
    "failed_writes",
)


def unknown(name: str, reason: str, **evidence: object) -> Measure:
    """A measure that was not observed, and why."""
    known = definition(name)
    return Measure(name=name, value=None, unit=known.unit if known else "", reason=reason, evidence=evidence)
