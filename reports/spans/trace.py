"""From a run to its spans: run, trials, and within each the faults in force, the phases and the healing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drills.naming import shown
from drills.recording.record import Event
from reports import cleaning, phases, wall, wording
from reports.facts import Facts, Measured, Trial
from reports.phases import Phase
from reports.spans.model import Attributes, Moment, NoWallTimeError, Span, Trace, known, span_id, trace_id

_SUITE = {"PASS": "success", "FAIL": "failure", "UNKNOWN": "aborted"}
_CASE = {"PASS": "pass", "FAIL": "fail"}
_WRONG = {"FAIL": "objective_missed", "UNKNOWN": "not_observed"}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def trace(facts: Facts) -> Trace:
    """The run's trace; raises NoWallTime where its ``meta.json`` does not say when it was."""
    start, end, anchor = wall.start_ns(facts), wall.end_ns(facts), wall.anchor_ns(facts)
    if start is None or end is None or anchor is None:
        raise NoWallTimeError(f"run {facts.run} does not say when it was: its meta.json has no start")
    id_ = trace_id(facts.run)
    run = _run(facts, span_id(id_, "run"), start, end)
    spans = [run, *(span for trial in facts.trials for span in _Told(id_, run.id, trial, anchor).spans())]
    versions = cleaning.mapping(facts.meta.get("versions"))
    return Trace(id_, _resource(facts), cleaning.text(versions.get("recdr")), tuple(spans))


def _resource(facts: Facts) -> Attributes:
    host = cleaning.mapping(facts.meta.get("host"))
    machine = host.get("machine")
    return known(
        service__name="recdr",
        service__version=cleaning.mapping(facts.meta.get("versions")).get("recdr"),
        os__type=str(host.get("system") or "").lower(),
        os__version=host.get("kernel"),
        host__arch=_ARCHITECTURES.get(str(machine), machine),
    )


def _run(facts: Facts, id_: str, start: int, end: int) -> Span:
    outcome = facts.outcome if facts.judged else "UNKNOWN"
    attributes = known(
        test__suite__name=facts.title,
        test__suite__run__status=_SUITE[outcome],
        error__type=_WRONG.get(outcome),
        recdr__run=facts.run,
        recdr__drill=facts.file,
        recdr__outcome=outcome,
        recdr__reasons=facts.reasons,
        recdr__target=cleaning.mapping(facts.meta.get("target")).get("kind"),
        recdr__model__version=facts.model.get("version"),
        recdr__baseline=facts.baseline.get("id"),
        recdr__seed=cleaning.mapping(facts.meta.get("seeds")).get("run"),
        recdr__trials=len(facts.trials),
    )
    problem = "" if outcome == "PASS" else f"{outcome}: {wording.sentence(facts)}"
    name = f"drill {facts.file}"
    return Span(id_, "", name, start, end, attributes | _measured(facts.objectives), (), not problem, problem)


def _measured(measures: list[Measured]) -> Attributes:
    """The observed ones, by their names as drill files have them, with the unit in the name."""
    return {f"recdr.measure.{m.name}": m.value for m in measures if m.value is not None}


@dataclass(frozen=True)
class _Told:
    """The spans of one trial; ``anchor`` turns its monotonic moments into wall time."""

    trace: str
    run: str
    trial: Trial
    anchor: int

    def spans(self) -> Iterator[Span]:
        trial = self.trial
        first, last = wall.span(trial)
        path, outcome = f"trial {trial.number}", trial.outcome
        attributes = known(
            test__case__name=wording.trial_name(trial),
            test__case__result__status=_CASE.get(outcome),
            error__type=_WRONG.get(outcome),
            recdr__outcome=outcome,
            recdr__trial=trial.number,
            recdr__variant=trial.variant,
        )
        asked = [m for m in trial.measures if m.objective]
        problem = "" if outcome == "PASS" else cleaning.text(f"{outcome}: {' '.join(trial.reasons)}")
        moments = (*self._marks(), *self._sightings())
        name = wording.trial_name(trial)
        own = span_id(self.trace, path)
        times = first + self.anchor, last + self.anchor
        yield Span(own, self.run, name, *times, attributes | _measured(asked), moments, not problem, problem)
        yield from self._faults(own, path, last)
        yield from self._phases(own, path)

    def _at(self, seconds: float) -> int:
        """Wall time of a moment that is so many seconds after the fault."""
        return self.trial.clock.zero + round(seconds * 1e9) + self.anchor

    def _marks(self) -> Iterator[Moment]:
        for mark in self.trial.marks:
            yield Moment(
                mark.label, self._at(mark.t_s), known(recdr__source=mark.source, recdr__after_fault_s=mark.t_s)
            )

    def _sightings(self) -> Iterator[Moment]:
        for one in self.trial.sightings:
            yield Moment(one.what, self._at(one.t_s), known(recdr__evidence=one.evidence, recdr__held=one.held))

    def _faults(self, parent: str, path: str, last: int) -> Iterator[Span]:
        """Each fault from its injection until it was healed; one that never was until the trial ended."""
        injected = [event for event in self.trial.events if event.kind == "fault.injected"]
        for number, event in enumerate(injected):
            later = [e for e in self.trial.events if _same(e, event) and e.t >= event.t]
            healed = next((e.t for e in later if e.kind == "fault.healed"), None)
            seen = [Moment(_what(e), e.t + self.anchor, _evidence(e)) for e in later if e.kind in _LOOKED]
            fidelity = cleaning.mapping(event.data.get("fidelity"))
            name = f"fault {cleaning.text(event.data.get('fault'))}"
            attributes = known(
                recdr__fault=cleaning.text(event.data.get("fault")),
                recdr__fault__arguments=cleaning.text(shown(cleaning.mapping(event.data.get("arguments")))),
                recdr__fault__fidelity=cleaning.text(fidelity.get("kind")),
            )
            problem = "it was never healed" if healed is None else ""
            times = event.t + self.anchor, (last if healed is None else healed) + self.anchor
            ok = False if problem else None
            yield Span(
                span_id(self.trace, f"{path}/fault {number}"),
                parent,
                name,
                *times,
                attributes,
                tuple(seen),
                ok,
                problem,
            )

    def _phases(self, parent: str, path: str) -> Iterator[Span]:
        """Each phase that came, from the fault to the moment when it did, and the healing until it was seen."""
        for phase in self.trial.phases:
            if phase.measured_s is not None and phase.measured_s > 0:
                times = self._at(0), self._at(phase.measured_s)
                id_ = span_id(self.trace, f"{path}/phase {phase.name}")
                yield Span(id_, parent, f"until: {phase.label}", *times, _phase(phase))
        when = {mark.key: mark.t_s for mark in self.trial.marks}
        for key, begin, end, name in _SPANS:
            if begin in when and end in when and when[begin] <= when[end]:
                id_ = span_id(self.trace, f"{path}/{key}")
                yield Span(id_, parent, name, self._at(when[begin]), self._at(when[end]), {})


_LOOKED = {"fault.effect": "observed", "heal.confirmed": "confirmed"}
_SPANS = (
    ("heal", "heal", "healed", "healing"),
    ("confirming", "healed", "heal_confirmed", "until: Healing seen from outside"),
    ("failing back", "healed", "failed_back", "until: Reads answered by the first region again"),
)
"""Spans between two moments of a trial: the key in their ids, the moments, the name."""


def _same(event: Event, other: Event) -> bool:
    return all(event.data.get(key) == other.data.get(key) for key in ("fault", "arguments"))


def _what(event: Event) -> str:
    held = event.data.get(_LOOKED[event.kind]) is True
    what = "effect" if event.kind == "fault.effect" else "healing"
    return f"{what} seen" if held else f"{what} NOT seen"


def _evidence(event: Event) -> Attributes:
    return known(recdr__evidence=cleaning.text(event.data.get("evidence")))


def _phase(phase: Phase) -> Attributes:
    return known(
        recdr__phase=phase.name,
        recdr__phase__bound_s=phase.bound_s,
        recdr__phase__within_bound=None if phase.bound_s is None else not phase.slower,
        recdr__phase__dominating_timer=phase.dominating,
        recdr__phase__at_least=phase.at_least or None,
        recdr__phase__said=phases.held_against(phase),
    )
