"""Findings in plain words, computed from the record: what broke an objective, what nearly did, and what to do about it.

Each finder takes the run's facts and gives a finding or None. None wherever the record does not carry it: a measure
that is absent, unknown or a range, several faults at once, a service whose timers nobody knows.

finding.py           what a finding is; how much of an objective's room is left
stretches.py         when users were disturbed, from the requests themselves
outages.py           reads and writes: how long, which step took the time, which timer
whatif.py            what a shorter timer predicts
losses.py            what was lost, stored twice or late, or acknowledged by two regions
recommendations.py   whether recommendations stayed good
shares.py            missed objectives on counts, shares and latencies; the thinnest margin
doubts.py            what leaves the verdict open, or makes a figure doubtful
well.py              what went well
"""

from __future__ import annotations

from collections.abc import Callable

from reports.facts import Facts
from reports.findings import doubts, losses, outages, recommendations, shares, well
from reports.findings.finding import Figure, Finding, Severity, question_asked

__all__ = ["FINDERS", "Figure", "Finding", "Severity", "find"]

FINDERS: tuple[Callable[[Facts], Finding | None], ...] = (
    doubts.not_healed,
    doubts.not_injected,
    doubts.without_effect,
    losses.split_brain,
    losses.lost,
    outages.writes,
    outages.reads,
    recommendations.worse,
    shares.requests_failed,
    shares.latency,
    doubts.not_known,
    shares.sick_before,
    losses.twice,
    doubts.trials_disagree,
    shares.thinnest,
    doubts.slower_than_predicted,
    recommendations.regions_differ,
    recommendations.versions_seen,
    recommendations.degraded,
    losses.late,
    doubts.before_the_edge_noticed,
    shares.latency_after,
    doubts.late_prober,
    doubts.uncalibrated,
    well.went_well,
)
"""Within one severity, the order of importance."""


def find(facts: Facts) -> list[Finding]:
    """All findings of a run, the most important first; none about a run that was not judged."""
    if not facts.judged:
        return []
    found = [finding for finder in FINDERS if (finding := finder(facts)) is not None]
    rest = shares.not_told(facts, {name for finding in found for name in finding.measures})
    found += [rest] if rest else []
    if facts.outcome == "UNKNOWN" and not question_asked(facts):  # nobody knows whether the fault did what was measured
        found = [finding for finding in found if finding.severity in {Severity.OPEN, Severity.DOUBT}]
    return sorted(found, key=lambda finding: finding.severity.rank)
