"""What the metrics are called, what each means, and in which base unit it is."""

from __future__ import annotations

UNITS: dict[str, tuple[str, float]] = {
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1000.0),
    "ratio": ("ratio", 1.0),
    "events": ("events", 1.0),
    "requests": ("requests", 1.0),
    "requests/s": ("requests_per_second", 1.0),
}
"""A measure's unit: the base unit that a metric's name ends with, and by what to divide."""

HELP: dict[str, str] = {
    "recdr_run_info": "What was run, on what; the value is always 1.",
    "recdr_drill_outcome": "1 for the verdict that the drill's run came to, 0 for the others.",
    "recdr_drill_judged": "Whether there is a verdict: 0 for a run that ended before it could be judged.",
    "recdr_run_start_timestamp_seconds": "When the run began, in seconds since 1970.",
    "recdr_run_end_timestamp_seconds": "When the last that was recorded of the run happened, in seconds since 1970.",
    "recdr_run_trials": "How many trials left a record.",
    "recdr_run_gaps": "How many parts of the record are missing or damaged.",
    "recdr_trial_outcome": "1 for what one trial came to, 0 for the others.",
    "recdr_fault_effect_observed": "Whether every fault of the trial was seen to take effect; absent if nobody looked.",
    "recdr_heal_confirmed": "Whether every fault of the trial was seen healed; absent if nobody looked.",
    "recdr_objective_outcome": "1 for what came of one objective, 0 for the others.",
    "recdr_objective_bound": "What the objective allows; a bound relative to the baseline as what it came to.",
    "recdr_objective_margin": "How far the value is within its tightest bound; negative: beyond it.",
    "recdr_measure": "What was measured, in the trial that the drill is judged by; absent if it was not observed.",
    "recdr_measure_observed": "Whether the measure was observed: 0 has no value anywhere here, which is not zero.",
    "recdr_measure_censored": "1: the value is a lower bound, for it had not ended when the trial did.",
    "recdr_measure_resolution": "How exact the value can be at best.",
    "recdr_measure_interval": "An end of the interval that holds the value; an open end is absent.",
    "recdr_measure_median": "The median over all trials; absent where there was one.",
    "recdr_measure_median_censored": "1: the median is a lower bound.",
    "recdr_measure_median_interval": "An end of the interval that holds the median; an open end is absent.",
    "recdr_baseline": "What the measure was with nothing broken.",
    "recdr_trial_measure": "What one trial measured, for the measures that an objective asks for.",
    "recdr_trial_measure_censored": "1: the trial's value is a lower bound.",
    "recdr_phase_seconds": "When a phase of the failover came, in seconds after the fault; absent if not observed.",
    "recdr_phase_censored": "1: the phase had not come when the trial ended, so its time is a lower bound.",
    "recdr_phase_bound_seconds": "The latest that the configuration's timers predict for the phase, after the fault.",
}
"""Of a metric whose unit depends on the measure, the name without it."""


def plain(measure: str) -> str:
    """A measure's name without its unit where a metric's own name says it in another one: ``p99`` of ``p99_ms``."""
    for unit in ("_ms", "_s", "_rps"):
        if measure.endswith(unit):
            return measure.removesuffix(unit)
    return measure
