"""A run as a trace: the run, its trials, its faults and phases as spans; otlp_json.py writes it down.

A pure function of the run directory: the same run has the same ids wherever and however often it is told.
"""

from reports.spans.model import Moment, NoWallTimeError, Span, Trace
from reports.spans.otlp_json import to_json
from reports.spans.trace import trace

__all__ = ["Moment", "NoWallTimeError", "Span", "Trace", "to_json", "trace"]
