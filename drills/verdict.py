"""The judgement of a run: a pure function of its timeline and its objectives (docs/measuring.md).

A trial whose fault was not seen to take effect answers no question: UNKNOWN, whatever was measured. Otherwise
a violation that was certainly observed is a FAIL, anything that was not observed is UNKNOWN, the rest a PASS.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from statistics import median
from typing import Any

from drills import errors
from drills.measures import Measure, Settings, definition, key, measure_trial, milestones, modelled, problems
from drills.record import Timeline
from drills.spec import Objective

SCHEMA_VERSION = 1
_BOUNDS = ("min", "max", "min_ratio", "max_ratio")
_DIGITS = 6


class Outcome(StrEnum):
    """What can be said about a run, a trial, or a measure."""

    PASS = "PASS"  # noqa: S105 - the word of a verdict, no password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


_RANK = {Outcome.PASS: 0, None: 0, Outcome.UNKNOWN: 1, Outcome.FAIL: 2}


@dataclass(frozen=True)
class Judged:
    """A measure with its objective; ``outcome`` None where no objective asks for it."""

    measure: Measure
    objective: Objective | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    """Why the outcome is not PASS, as one sentence."""


@dataclass(frozen=True)
class TrialVerdict:
    """The judgement of one trial."""

    trial: int
    variant: str | None
    outcome: Outcome
    reasons: tuple[str, ...]
    faults: list[dict[str, object]]
    phases: dict[str, float | None]
    modelled: dict[str, dict[str, Any]]
    """The latest each phase may be by the configuration, with the timers that add up to it (``modelled.py``)."""
    measures: dict[str, Judged]


@dataclass(frozen=True)
class Verdict:
    """The judgement of a run; ``measures`` are the worst over its trials."""

    outcome: Outcome
    reasons: tuple[str, ...]
    run: str
    drill: str
    trials: tuple[TrialVerdict, ...]
    measures: dict[str, Judged]
    over_trials: dict[str, list[float | None]]

    @property
    def exit_code(self) -> int:
        """The exit code of ``recdr drill run`` and ``judge`` for this outcome."""
        codes = {Outcome.PASS: errors.EXIT_PASS, Outcome.FAIL: errors.EXIT_FAIL}
        return codes.get(self.outcome, errors.EXIT_UNKNOWN)


def judge(
    timeline: Timeline,
    objectives: Iterable[Objective],
    *,
    run: str,
    drill: str,
    trials: int = 1,
    settings: Settings | None = None,
) -> Verdict:
    """Judge a run by its whole timeline: ``trials`` is how many were planned, ``drill`` the drill's title."""
    settings, wanted = settings or Settings(), {key(o.measure, o.phase): o for o in objectives}
    numbers = sorted({e.trial for e in timeline.events if e.trial is not None and e.kind == "trial.started"})
    judged = tuple(judge_trial(timeline.of_trial(n), wanted, settings, n) for n in numbers)
    reasons: list[str] = []
    reasons += problems.stops(e for e in timeline.events if e.trial is None)
    if len(judged) < trials:
        reasons.append(f"Only {len(judged)} of {trials} planned trials were started.")
    if not wanted:
        reasons.append("The drill states no objective, so there is nothing to judge.")
    outcomes = [t.outcome for t in judged] + [Outcome.UNKNOWN] * bool(reasons)
    outcome = max(outcomes, key=_RANK.__getitem__, default=Outcome.UNKNOWN)
    names = list(judged[0].measures) if judged else list(wanted)
    values = {name: [t.measures[name].measure.value for t in judged] for name in names}
    worst = {name: _worst([t.measures[name] for t in judged]) for name in names} if judged else {}
    return Verdict(
        outcome=outcome,
        reasons=tuple(dict.fromkeys([*_told(judged, outcome, len(wanted)), *reasons])),
        run=run,
        drill=drill,
        trials=judged,
        measures=worst,
        over_trials=values,
    )


def judge_trial(
    timeline: Timeline, objectives: Mapping[str, Objective], settings: Settings, trial: int
) -> TrialVerdict:
    """Judge one trial (``Timeline.of_trial``) by objectives under their measures' keys."""
    measures = measure_trial(timeline, settings)
    found = problems.of_trial(timeline)
    judged = {
        name: judge_measure(measure, objectives.get(name), cut_short=found.cut_short)
        for name, measure in measures.items()
    }
    for name in objectives.keys() - judged.keys():
        missing = Measure(name=name, value=None, unit="", reason=f"Nobody measures {name}.")
        judged[name] = judge_measure(missing, objectives[name], cut_short=found.cut_short)
    outcomes = [j.outcome for j in judged.values() if j.outcome is not None]
    doubts = [Outcome.UNKNOWN] * bool(found.doubts)
    outcome = max([*outcomes, *doubts], key=_RANK.__getitem__, default=Outcome.UNKNOWN)
    if found.invalid:
        outcome = Outcome.UNKNOWN
    failed = [j.reason for j in judged.values() if j.outcome is Outcome.FAIL and j.reason]
    unclear = [j.reason for j in judged.values() if j.outcome is Outcome.UNKNOWN and j.reason]
    phases = _phases(timeline, measures)
    return TrialVerdict(
        trial=trial,
        variant=_variant(timeline),
        outcome=outcome,
        reasons=(*found.invalid, *failed, *found.doubts, *unclear),
        faults=problems.faults(timeline),
        phases=phases,
        modelled=modelled.of_trial(timeline.events, phases, _answer_s(measures)),
        measures=judged,
    )


def judge_measure(measure: Measure, objective: Objective | None, *, cut_short: bool = False) -> Judged:
    """Hold a measure against its objective.

    ``cut_short``: the trial ended before its time, so only what cannot get better counts as violated.
    """
    if objective is None:
        return Judged(measure)
    met = [_meets(bound, limit, measure, cut_short=cut_short) for bound, limit in _bounds(objective)]
    outcome = max(met, key=_RANK.__getitem__, default=Outcome.UNKNOWN)
    known = definition(objective.measure)
    if outcome is Outcome.FAIL and cut_short and not (known and known.only_grows):
        outcome = Outcome.UNKNOWN
    reason = None if outcome is Outcome.PASS else _sentence(measure, objective, outcome, cut_short=cut_short)
    return Judged(measure, objective, outcome, reason)


def _meets(bound: str, limit: float, measure: Measure, *, cut_short: bool) -> Outcome:
    ends = _ends(measure)
    if measure.censored and not cut_short and bound in ("max", "max_ratio"):
        return Outcome.FAIL
    if ends is None:
        return Outcome.UNKNOWN
    if bound.endswith("_ratio"):
        if not measure.baseline:
            return Outcome.UNKNOWN
        ends = (ends[0] / measure.baseline, ends[1] / measure.baseline)
    met = [end >= limit if bound.startswith("min") else end <= limit for end in ends]
    if all(met):
        return Outcome.PASS
    return Outcome.UNKNOWN if any(met) else Outcome.FAIL


def _ends(measure: Measure) -> tuple[float, float] | None:
    """The least and the greatest value that fit what was observed; None where nothing was."""
    if measure.possible is not None:
        return measure.possible
    if measure.value is None:
        return None
    return measure.value, math.inf if measure.censored else measure.value


def _bounds(objective: Objective) -> list[tuple[str, float]]:
    return [(b, limit) for b in _BOUNDS if (limit := getattr(objective, b)) is not None]


def _sentence(measure: Measure, objective: Objective, outcome: Outcome, *, cut_short: bool) -> str:
    known = definition(objective.measure)
    what = f"The {known.meaning} ({measure.name})" if known else measure.name
    allowed = " and ".join(_allowance(b, limit, measure.unit) for b, limit in _bounds(objective))
    if outcome is Outcome.FAIL:
        detail = f" {measure.reason}" if measure.reason else ""
        return f"{what} was {_shown(measure, objective)}, but the objective is {allowed}.{detail}"
    if measure.value is not None and measure.possible is None:
        if any(b.endswith("_ratio") for b, _ in _bounds(objective)) and not measure.baseline:
            return f"{what} is unknown against the baseline: there is no baseline for it."
        if cut_short:
            shown = _shown(measure, objective)
            return f"{what} was {shown} when the trial was cut short, too early to hold it against {allowed}."
    return f"{what} is unknown: {measure.reason or 'it was not observed.'}"


def _allowance(bound: str, limit: float, unit: str) -> str:
    side = "at least" if bound.startswith("min") else "at most"
    return f"{side} {limit:g} {'times the baseline' if bound.endswith('_ratio') else _unit(unit)}".rstrip()


def _shown(measure: Measure, objective: Objective) -> str:
    if measure.value is None:
        least = _ends(measure)
        return f"at least {_number(least[0] if least else None)} {_unit(measure.unit)}".rstrip()
    least_sign = "at least " if measure.censored else ""
    text = f"{least_sign}{_number(measure.value)} {_unit(measure.unit)}".rstrip()
    if measure.baseline and any(b.endswith("_ratio") for b, _ in _bounds(objective)):
        text += f" ({_number(measure.value / measure.baseline)} times the baseline's {_number(measure.baseline)})"
    return text


def _unit(unit: str) -> str:
    return "" if unit == "ratio" else unit


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _told(trials: Sequence[TrialVerdict], outcome: Outcome, objectives: int) -> list[str]:
    """The reasons of a run: each sentence of its trials once, the worst trials first."""
    if outcome is Outcome.PASS:
        where = f" in each of {len(trials)} trials" if len(trials) > 1 else ""
        return [f"All {objectives} objectives were met{where}."]
    told: dict[str, list[int]] = {}
    for trial in sorted(trials, key=lambda t: -_RANK[t.outcome]):
        if trial.outcome is not Outcome.PASS:
            for reason in trial.reasons:
                told.setdefault(reason, []).append(trial.trial)
    if len(trials) == 1:
        return list(told)
    return [f"Trial {', '.join(map(str, numbers))}: {reason}" for reason, numbers in told.items()]


def _worst(judged: Sequence[Judged]) -> Judged:
    """The worst of a measure over trials: a violation before an unknown, an unknown before any figure."""
    known = definition(judged[0].measure.name.partition("@")[0])
    sign = -1 if known and known.higher_is_better else 1

    def badness(entry: Judged) -> tuple[int, bool, bool, float]:
        value = entry.measure.value
        return (
            _RANK[entry.outcome],
            value is None and entry.outcome is not Outcome.FAIL,
            entry.measure.censored,
            0.0 if value is None else sign * value,
        )

    return max(judged, key=badness)


def _variant(timeline: Timeline) -> str | None:
    for event in timeline.events:
        if event.kind == "trial.started":
            variant = event.data.get("variant")
            return None if variant is None else str(variant)
    return None


def _phases(timeline: Timeline, measures: Mapping[str, Measure]) -> dict[str, float | None]:
    """The milestones with the two recoveries among them, in seconds since the injection."""
    recovered = {
        f"sustained_{what}": None if (m := measures[f"rto_{what}_s"]).censored or m.possible else m.value
        for what in ("read", "write")
    }
    return {**milestones(timeline), **recovered}


def _answer_s(measures: Mapping[str, Measure]) -> float:
    """How long a read took with nothing broken (p99); 0 where that was not observed."""
    quiet = measures.get("p99_ms@before")
    return 0.0 if quiet is None or quiet.value is None else quiet.value / 1_000


def to_document(verdict: Verdict) -> dict[str, object]:
    """``verdict.json`` as plain values: no wall-clock time, no path, nothing of the machine."""
    several = len(verdict.trials) > 1
    return {
        "schema_version": SCHEMA_VERSION,
        "outcome": str(verdict.outcome),
        "reasons": list(verdict.reasons),
        "run": verdict.run,
        "drill": verdict.drill,
        "trials": [
            {
                "trial": t.trial,
                "variant": t.variant,
                "outcome": str(t.outcome),
                "reasons": list(t.reasons),
                "faults": t.faults,
                "phases": t.phases,
                "modelled": t.modelled,
                "measures": {name: _entry(judged) for name, judged in t.measures.items()},
            }
            for t in verdict.trials
        ],
        "measures": {
            name: _entry(judged) | (_spread(verdict.over_trials[name]) if several else {})
            for name, judged in verdict.measures.items()
        },
    }


def to_json(verdict: Verdict) -> bytes:
    """The document of ``to_document``, byte for byte the same for the same timeline on any machine."""
    return _encode(to_document(verdict))


def _encode(document: object) -> bytes:
    text = json.dumps(_settled(document), indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def _settled(value: object) -> object:
    """Plain JSON: floats to six significant digits (the last ones vary by machine), infinities null."""
    if isinstance(value, Mapping):
        return {str(k): _settled(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_settled(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def _entry(judged: Judged) -> dict[str, object]:
    measure, objective = judged.measure, judged.objective
    return {
        "value": measure.value,
        "unit": measure.unit,
        "resolution": measure.resolution,
        "interval": measure.interval,
        "possible": measure.possible,
        "censored": measure.censored,
        "objective": _objective(objective) if objective else None,
        "baseline": measure.baseline,
        "outcome": None if judged.outcome is None else str(judged.outcome),
        "reason": judged.reason or measure.reason,
        "evidence": measure.evidence,
    }


def _objective(objective: Objective) -> dict[str, object]:
    stated = ((f.name, getattr(objective, f.name)) for f in fields(objective) if f.name != "measure")
    return {name: value for name, value in stated if value is not None}


def _spread(values: Sequence[float | None]) -> dict[str, object]:
    """A measure over several trials: every value in the trials' order, their median and range."""
    known = [v for v in values if v is not None]
    return {
        "over_trials": {
            "values": list(values),
            "median": median(known) if known else None,
            "range": [min(known), max(known)] if known else None,
        }
    }
