"""Runs as metrics: OpenMetrics text, or the older text format that node_exporter and Pushgateway take.

A pure function of run directories. What was not observed has no sample: a missing series and a zero are not the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from reports.facts import Facts
from reports.metrics import measures, phases, run
from reports.metrics.families import Families
from reports.metrics.text import openmetrics, prometheus

OPENMETRICS, PROMETHEUS = "openmetrics", "prometheus"


def render(runs: Iterable[Facts], form: str = OPENMETRICS) -> str:
    """The metrics of runs. ``openmetrics`` has all of them, each at the moment when it ended.

    ``prometheus`` has no times, so only the latest run of each drill is in it.
    """
    families = Families()
    for facts in runs:
        told = families.of(facts)
        run.tell(facts, told)
        measures.tell(facts, told)
        phases.tell(facts, told)
    return openmetrics(families) if form == OPENMETRICS else prometheus(families)
