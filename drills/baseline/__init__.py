"""Baselines: what a service is like with nothing broken, recorded once and held against every drill of it.

A baseline belongs to one topology, model or data set, load and set of probes, so no drill is ever held against the
baseline of something else. Of those of one kind the accepted one counts.
"""

from drills.baseline.conditions import conditions_of, differences, host_differences, kind_of_host
from drills.baseline.difference import difference
from drills.baseline.document import Baseline, Steady
from drills.baseline.recording import record
from drills.baseline.store import Store
from drills.baseline.taking import check, record_alone, take

__all__ = [
    "Baseline",
    "Steady",
    "Store",
    "check",
    "conditions_of",
    "difference",
    "differences",
    "host_differences",
    "kind_of_host",
    "record",
    "record_alone",
    "take",
]
