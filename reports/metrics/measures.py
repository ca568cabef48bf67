"""What was measured, what was allowed, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterable

from drills.measures import definition
from reports import wording
from reports.facts import Facts, Measured
from reports.metrics.families import Tell
from reports.metrics.names import plain
from reports.metrics.run import OUTCOMES

DEFAULT_PHASE = "post_fault"


def tell(facts: Facts, sample: Tell) -> None:
    for m in facts.measures:
        labels = _labels(m)
        _value(m, labels, sample)
        if m.objective:
            _objective(m, labels, sample)
        _over_trials(m, labels, sample)
    asked = {m.name for m in facts.objectives}
    for trial in facts.trials:
        own = {"trial": str(trial.number), "variant": trial.variant}
        for m in (m for m in trial.measures if m.name in asked):
            sample("recdr_trial_measure", _known(m), unit=m.unit, **own, **_labels(m))
            if _known(m) is not None:
                sample("recdr_trial_measure_censored", float(m.censored), **own, **_labels(m))


def _labels(m: Measured) -> dict[str, str]:
    """Of a measure that has phases and names none, the phase is the whole time from the fault on."""
    base, _, phase = m.name.partition("@")
    known = definition(base)
    return {
        "measure": plain(base),
        "phase": phase or (DEFAULT_PHASE if known is not None and known.allows_phase else ""),
    }


def _known(m: Measured) -> float | None:
    """The measure's value; None where only a range of what it may have been was observed."""
    return m.value if m.possible is None else None


def _value(m: Measured, labels: dict[str, str], sample: Tell) -> None:
    known = _known(m)
    sample("recdr_measure", known, unit=m.unit, **labels)
    sample("recdr_measure_observed", float(known is not None), **labels)
    if known is not None:
        sample("recdr_measure_censored", float(m.censored), **labels)
    sample("recdr_measure_resolution", m.resolution, unit=m.unit, **labels)
    _interval("recdr_measure_interval", m.possible or m.interval, m.unit, labels, sample)
    sample("recdr_baseline", m.baseline, unit=m.unit, **labels)


def _interval(
    family: str, ends: Iterable[float | None] | None, unit: str, labels: dict[str, str], sample: Tell
) -> None:
    for name, end in zip(("low", "high"), ends or (), strict=False):
        sample(family, end, unit=unit, **labels, end=name)


def _objective(m: Measured, labels: dict[str, str], sample: Tell) -> None:
    for outcome in OUTCOMES:
        sample("recdr_objective_outcome", float(m.outcome == outcome), **labels, outcome=outcome)
    tightest: dict[str, float] = {}
    for direction, limit in wording.limits(m):
        pick = min if direction == "max" else max
        tightest[direction] = pick(limit, tightest.get(direction, limit))
    for direction, limit in tightest.items():
        sample("recdr_objective_bound", limit, unit=m.unit, **labels, bound=direction)
    sample("recdr_objective_margin", wording.room(m), unit=m.unit, **labels)


def _over_trials(m: Measured, labels: dict[str, str], sample: Tell) -> None:
    over = m.over_trials
    if over is None or len(over.values) < 2 or over.median is None:
        return
    sample("recdr_measure_median", over.median, unit=m.unit, **labels)
    sample("recdr_measure_median_censored", float(over.median_censored), **labels)
    _interval("recdr_measure_median_interval", over.interval, m.unit, labels, sample)
