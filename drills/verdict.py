"""The judgement of a run: a pure function of its timeline and its objectives (docs/measuring.md).

A trial whose fault was not seen to take effect answers no question: UNKNOWN, whatever was measured. Otherwise
a violation that was certainly observed is a FAIL, anything that was not observed is UNKNOWN, the rest a PASS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drills import errors, over_trials
from drills.measures import Measure, Settings, absent, key, measure_trial, milestones, modelled, problems
from drills.objectives import judge_measure
from drills.outcome import Judged, Outcome, rank, worst_of
from drills.recording.timeline import Timeline
from drills.spec import Objective


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
