"""When each phase of a failover came, beside the latest that the configuration predicts."""

from __future__ import annotations

from reports.facts import Facts
from reports.metrics.families import Tell

OF_MARKS = {"first_error", "effect", "heal", "healed", "heal_confirmed", "failed_back"}
"""The moments that are no phases of the verdict's own table; ``happenings.MARK_LABELS`` says what each is."""


def tell(facts: Facts, sample: Tell) -> None:
    for trial in facts.trials:
        own = {"trial": trial.number, "variant": trial.variant}
        for phase in trial.phases:
            sample("recdr_phase_seconds", phase.measured_s, **own, phase=phase.name)
            sample("recdr_phase_bound_seconds", phase.bound_s, **own, phase=phase.name)
            if phase.measured_s is not None:
                sample("recdr_phase_censored", float(phase.at_least), **own, phase=phase.name)
        for mark in trial.marks:
            if mark.key in OF_MARKS:
                sample("recdr_phase_seconds", mark.t_s, **own, phase=mark.key)
