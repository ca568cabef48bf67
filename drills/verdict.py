"""The judgement of a run: a pure function of its timeline and its objectives (docs/measuring.md).

A trial whose fault was not seen to take effect answers no question: UNKNOWN, whatever was measured. Otherwise
a violation that was certainly observed is a FAIL, anything that was not observed is UNKNOWN, the rest a PASS.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from drills import errors, over_trials
from drills.measures import Measure, Settings, absent, definition, key, measure_trial, milestones, modelled, problems
from drills.outcome import Judged, Outcome, rank, worst_of
from drills.recording.timeline import Timeline
from drills.spec import Objective

SCHEMA_VERSION = 1
_BOUNDS = ("min", "max", "min_ratio", "max_ratio")
_DIGITS = 6


@dataclass(frozen=True)
class TrialVerdict:
    """The judgement of one trial."""

    trial: int
    variant: str | None
    valid: bool
    """Whether the trial asked the drill's question: its faults were in force and seen to be."""
    clear: bool
    """Whether nothing about it is in doubt; one that is not leaves the run UNKNOWN at best."""
    outcome: Outcome
    reasons: tuple[str, ...]
    faults: list[dict[str, object]]
    phases: dict[str, float | None]
    modelled: dict[str, dict[str, Any]]
    """The latest each phase may be by the configuration, with the timers that add up to it (``modelled.py``)."""
    measures: dict[str, Judged]


@dataclass(frozen=True)
class Verdict:
    """The judgement of a run; ``measures`` are those of its worst trial, or the median one if ``judged_on`` says so."""

    outcome: Outcome
    reasons: tuple[str, ...]
    run: str
    drill: str
    trials: tuple[TrialVerdict, ...]
    measures: dict[str, Judged]
    judged_on: str = "worst"
    baseline: dict[str, object] | None = None
    """Which baseline the run was held against; None where none was recorded."""

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
    judged_on: str = "worst",
) -> Verdict:
    """Judge a run by its whole timeline.

    ``trials`` is how many were planned, ``drill`` the drill's title, ``judged_on`` the trial that the objectives are
    held against: the ``worst`` or the ``median`` one.
    """
    settings, wanted = settings or Settings(), {key(o.measure, o.phase): o for o in objectives}
    numbers = sorted({e.trial for e in timeline.events if e.trial is not None and e.kind == "trial.started"})
    judged = tuple(judge_trial(timeline.of_trial(n), wanted, settings, n) for n in numbers)
    reasons: list[str] = []
    reasons += problems.stops(e for e in timeline.events if e.trial is None)
    if len(judged) < trials:
        reasons.append(f"Only {len(judged)} of {trials} planned trials were started.")
    if not wanted:
        reasons.append("The drill states no objective, so there is nothing to judge.")
    measures = _over_trials(judged, trials, judged_on)
    outcome = worst_of([*_outcomes(judged, measures, judged_on), *[Outcome.UNKNOWN] * bool(reasons)])
    told = _told_of_median if judged_on == "median" else _told
    return Verdict(
        outcome=outcome,
        reasons=tuple(dict.fromkeys([*told(judged, measures, outcome), *reasons])),
        run=run,
        drill=drill,
        trials=judged,
        measures=measures,
        judged_on=judged_on,
        baseline=_baseline(timeline),
    )


def _over_trials(trials: Sequence[TrialVerdict], planned: int, judged_on: str) -> dict[str, Judged]:
    """Each measure of the trial that counts: the worst, or the median one."""
    found: dict[str, Judged] = {}
    for name in trials[0].measures if trials else ():
        if judged_on == "median":
            of_all = [
                t.measures[name] if t.valid else over_trials.not_counted(t.measures[name], t.reasons[0]) for t in trials
            ]
            found[name] = over_trials.median(of_all, planned)
        else:
            found[name] = over_trials.worst([t.measures[name] for t in trials])
    return found


def _outcomes(trials: Sequence[TrialVerdict], measures: Mapping[str, Judged], judged_on: str) -> list[Outcome]:
    if judged_on != "median":
        return [trial.outcome for trial in trials]
    asked = [judged.outcome for judged in measures.values() if judged.outcome is not None]
    return [*asked, *[Outcome.UNKNOWN for trial in trials if not trial.clear]]


def judge_trial(
    timeline: Timeline, objectives: Mapping[str, Objective], settings: Settings, trial: int
) -> TrialVerdict:
    """Judge one trial (``Timeline.of_trial``) by objectives under their measures' keys."""
    measures = measure_trial(timeline, settings)
    found = problems.of_trial(timeline, settings)
    judged = {
        name: judge_measure(measure, objectives.get(name), cut_short=found.cut_short)
        for name, measure in measures.items()
    }
    for name in objectives.keys() - judged.keys():
        why = absent(settings).get(name.partition("@")[0], f"Nobody measures {name}.")
        missing = Measure(name=name, value=None, unit="", reason=why)
        judged[name] = judge_measure(missing, objectives[name], cut_short=found.cut_short)
    outcomes = [j.outcome for j in judged.values() if j.outcome is not None]
    doubts = [Outcome.UNKNOWN] * bool(found.doubts)
    outcome = worst_of([*outcomes, *doubts])
    if found.invalid:
        outcome = Outcome.UNKNOWN
    failed = [j.reason for j in judged.values() if j.outcome is Outcome.FAIL and j.reason]
    unclear = [j.reason for j in judged.values() if j.outcome is Outcome.UNKNOWN and j.reason]
    phases = _phases(timeline, measures)
    return TrialVerdict(
        trial=trial,
        variant=_variant(timeline),
        valid=not found.invalid,
        clear=not (found.invalid or found.doubts or unclear or not outcomes),
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
    outcome = worst_of(met)
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


def _told(trials: Sequence[TrialVerdict], measures: Mapping[str, Judged], outcome: Outcome) -> list[str]:
    """The reasons of a run: each sentence of its trials once, the worst trials first."""
    if outcome is Outcome.PASS:
        where = f" in each of {len(trials)} trials" if len(trials) > 1 else ""
        return [f"All {_asked(measures)} objectives were met{where}."]
    return _sentences([trial for trial in trials if trial.outcome is not Outcome.PASS], len(trials))


def _told_of_median(trials: Sequence[TrialVerdict], measures: Mapping[str, Judged], outcome: Outcome) -> list[str]:
    """The reasons of a run that is judged on its median trial; what only a minority violated is told too."""
    count, told = len(trials), []
    if outcome is Outcome.PASS:
        told.append(f"All {_asked(measures)} objectives were met by the median of {count} trials.")
    for name, judged in measures.items():
        failed = [str(t.trial) for t in trials if t.valid and t.measures[name].outcome is Outcome.FAIL]
        if judged.outcome is Outcome.FAIL:
            told.append(f"{len(failed)} of {count} trials, median: {judged.reason}")
        elif failed:
            told.append(f"{name} was violated in trial {', '.join(failed)}: {len(failed)} of {count}, fewer than half.")
    return told + _sentences([trial for trial in trials if not trial.clear], count)


def _asked(measures: Mapping[str, Judged]) -> int:
    return sum(judged.objective is not None for judged in measures.values())


def _sentences(trials: Sequence[TrialVerdict], count: int) -> list[str]:
    told: dict[str, list[int]] = {}
    for trial in sorted(trials, key=lambda t: -rank(t.outcome)):
        for reason in trial.reasons:
            told.setdefault(reason, []).append(trial.trial)
    if count == 1:
        return list(told)
    return [f"Trial {', '.join(map(str, numbers))}: {reason}" for reason, numbers in told.items()]


def _baseline(timeline: Timeline) -> dict[str, object] | None:
    told = [event.data for event in timeline.events if event.kind == "baseline.recorded"]
    names = ("id", "recorded_in", "new", "same_host", "host_differences")
    return {name: told[-1][name] for name in names if name in told[-1]} if told else None


def _variant(timeline: Timeline) -> str | None:
    for event in timeline.events:
        if event.kind == "trial.started":
            variant = event.data.get("variant")
            return None if variant is None else str(variant)
    return None


def _phases(timeline: Timeline, measures: Mapping[str, Measure]) -> dict[str, float | None]:
    """The milestones with the two recoveries among them, in seconds since the injection was acknowledged."""
    recovered = {f"sustained_{what}": _recovered_s(measures.get(f"rto_{what}_s")) for what in ("read", "write")}
    return {**milestones(timeline), **recovered}


def _recovered_s(rto: Measure | None) -> float | None:
    """0 where there was no outage. The RTO itself may count from before the acknowledgement."""
    if rto is None or rto.censored or rto.possible:
        return None
    seconds = rto.evidence.get("recovered_s")
    return seconds if isinstance(seconds, float) else rto.value


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
        "judged_on": verdict.judged_on,
        "baseline": verdict.baseline,
        "trials": [
            {
                "trial": t.trial,
                "variant": t.variant,
                "valid": t.valid,
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
            name: _entry(judged) | (_spread(verdict, name) if several else {})
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


def _spread(verdict: Verdict, name: str) -> dict[str, object]:
    return {"over_trials": over_trials.spread([trial.measures[name].measure for trial in verdict.trials])}
