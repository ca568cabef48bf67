"""How long reads and writes were disturbed, where that time went, and what would shorten it."""

from __future__ import annotations

from dataclasses import dataclass

from reports import phases, wording
from reports.columns import NS
from reports.facts import Facts, Measured, Trial
from reports.findings import whatif
from reports.findings.finding import (
    Figure,
    Finding,
    Severity,
    certain,
    heal_begun,
    injections,
    judged_in,
    listed,
    measure,
    moment,
    part_of,
    severity_of,
)
from reports.findings.stretches import Stretch, disturbed, verb_of
from reports.phases import Phase

_MOST_STRETCHES = 3
_MOMENT_S = 0.005
_AROUND_S = 0.5
"""A request that was due so long before something happened may have waited for it."""
_WORTH_S = 0.5
"""A shorter outage that breaks no objective needs no advice on timers."""
_FIXED = "witness_down_after_s"
"""The one timer that passes in whole whenever a store is promoted: others end early, or are overtaken by traffic."""


def reads(facts: Facts) -> Finding | None:
    return _outage(facts, "read")


def writes(facts: Facts) -> Finding | None:
    return _outage(facts, "write")


@dataclass(frozen=True)
class Outage:
    """One recovery as it was measured: ``began_s`` to ``recovered_s`` after the fault, with what disturbed it."""

    facts: Facts
    trial: Trial
    m: Measured
    what: str
    began_s: float
    recovered_s: float
    heal_s: float | None
    stretches: list[Stretch]

    @property
    def name(self) -> str:
        return self.what.capitalize()

    @property
    def measured(self) -> str:
        return wording.measured(self.m)

    @property
    def verb(self) -> str:
        return verb_of(self.m, self.trial)

    @property
    def phase(self) -> Phase | None:
        wanted = f"sustained_{self.what.removesuffix('s')}"
        return next((p for p in self.trial.phases if p.name == wanted), None)


def _outage(facts: Facts, kind: str) -> Finding | None:
    m = measure(facts, f"rto_{kind}_s")
    trial = judged_in(facts, m) if m else None
    if m is None or m.value == 0 or trial is None:
        return None
    if not certain(m):
        return None if m.outcome == "UNKNOWN" or m.possible is None else _range(facts, trial, m, kind)
    own = trial.measure(m.name) or m
    said = own.evidence
    stretches = disturbed(trial, write=kind == "write", prompt_s=facts.prompt_s)
    if m.censored:
        return _never(facts, trial, m, kind, stretches)
    began, recovered = said.get("began_s"), said.get("recovered_s")
    if not isinstance(began, int | float) or not isinstance(recovered, int | float):
        return None
    inside = [s for s in stretches if s.end_s >= began - 0.05 and s.start_s <= recovered]
    return _shaped(Outage(facts, trial, m, f"{kind}s", began, recovered, heal_begun(trial), inside))


def _range(facts: Facts, trial: Trial, m: Measured, kind: str) -> Finding:
    return Finding(
        severity_of(m, harm=True),
        f"{kind.capitalize()}s were disturbed for {wording.measured(m)}{part_of(facts, trial)}: not all was recorded",
        "Where in that time the service recovered is not known, nor which step took how long.",
        _figures(m, trial),
        measures=(m.name,),
    )


def _never(facts: Facts, trial: Trial, m: Measured, kind: str, stretches: list[Stretch]) -> Finding:
    said = _each(stretches)
    return Finding(
        severity_of(m, harm=True),
        f"{kind.capitalize()}s had not recovered for good when the trial ended, {m.value:.1f} s after the fault"
        f"{part_of(facts, trial)}",
        f"They were disturbed {said}." if said else "",
        _figures(m, trial),
        "Let the drill go on for longer, to learn whether the service recovers at all."
        if stretches and m.value is not None and stretches[-1].end_s > m.value - 3
        else "",
        (m.name,),
    )


def _shaped(o: Outage) -> Finding | None:
    """The outage by its shape: one clean fail-over, one that ended only with the fault, or several disturbances."""
    severity = severity_of(o.m, harm=True)
    healed_first = o.heal_s is not None and o.recovered_s >= o.heal_s
    if not o.stretches or len(injections(o.trial)) > 1:
        title, text, action = f"It took {o.measured} until {o.what} worked again and kept working", _unattributed(o), ""
    elif healed_first and o.stretches[0].start_s >= (o.heal_s or 0.0) - _AROUND_S:
        title = f"{o.name} were disturbed only around healing, {_each(o.stretches)} after the fault"
        text = f"Healing began {o.heal_s:.1f} s after the fault; until then nothing disturbed the {o.what} for long."
        action = "Look at what coming back does, not at failing over: the timeline shows what happened at that time."
    elif len(o.stretches) == 1 and o.stretches[0].start_s > o.began_s + _AROUND_S:
        title, text, action = f"{o.name} {o.verb} {_each(o.stretches)} after the fault", _counts(o), ""
    elif len(o.stretches) > 1:
        title, text, action = _again(o, healed_first=healed_first)
    elif healed_first:
        title, text, action = _until_healed(o)
    else:
        steps = _path(o)
        title, (text, action) = f"{o.name} {o.verb} for {o.measured} after the fault", _explained(o, steps)
        if steps:
            until, seconds = max(steps, key=lambda step: step[1])
            title += f", {seconds:.2f} s of it until {until}"
    where = part_of(o.facts, o.trial)
    return Finding(severity, f"{title}{where}", text, _figures(o.m, o.trial), action, (o.m.name,))


def _unattributed(o: Outage) -> str:
    several = len(injections(o.trial)) > 1
    why = "With several faults in one trial the record does not say which step took how long." if several else ""
    return f"{_counts(o)} {why}".strip()


def _again(o: Outage, *, healed_first: bool) -> tuple[str, str, str]:
    first, last = o.stretches[0], o.stretches[-1]
    if len(o.stretches) > _MOST_STRETCHES:
        text = (
            f"Of all clients, the first disturbance ended {first.end_s:.1f} s after the fault, the last "
            f"{last.end_s:.1f} s after it; the figure is that of the probes."
        )
        return f"{o.name} were disturbed again and again for {o.measured}", f"{text} {_counts(o)}", ""
    text = (
        f"They were disturbed {_each(o.stretches)} after the fault, and worked in between. A recovery counts only "
        f"once it holds, so the figure, {o.measured}, runs until the probes had no more trouble."
    )
    if healed_first and o.heal_s is not None and first.end_s < o.heal_s <= last.start_s + _AROUND_S:
        title = f"{o.name} recovered, and were disturbed again after healing had begun"
        text += f" Healing began {o.heal_s:.1f} s after the fault."
        return title, text, f"Look at what happened {o.stretches[1].start_s:.1f} s after the fault."
    often = "twice" if len(o.stretches) == 2 else f"{len(o.stretches)} times"
    return f"{o.name} were disturbed {often} before they worked for good", text, ""


def _until_healed(o: Outage) -> tuple[str, str, str]:
    title = f"{o.name} {o.verb} until the fault was healed: {o.measured}"
    promoted = moment(o.trial, "promoted")
    if o.what != "writes":
        return title, "Nothing that the service did while the fault was in force brought them back.", ""
    if promoted is not None and promoted < o.recovered_s:
        text = f"A store was promoted {promoted:.2f} s after the fault, but the writes did not come back with it."
        return (
            title,
            text,
            "Look at why the edge sent no writes there: the evidence below the timeline says which nodes it took in.",
        )
    text = "No store was promoted while the fault was in force, so nobody took the writes over."
    if any(p.bound_s is not None for p in o.trial.phases) and (o.phase is None or o.phase.bound_s is None):
        return title, f"{text} The configuration predicts no recovery of writes from this fault either.", ""
    return title, text, ""


def _explained(o: Outage, steps: list[tuple[str, float]]) -> tuple[str, str]:
    """Where the time of one clean fail-over went, and what to change; '' for what the record does not say."""
    told = listed([f"{seconds:.2f} s until {until}" for until, seconds in steps])
    parts = [f"It took {told}." if told else _counts(o)]
    phase = o.phase
    if phase is None or phase.bound_s is None:
        return " ".join(parts), ""
    if phase.slower:
        parts.append(
            f"The configuration allows {phase.bound_s:.2f} s in all: its timers do not explain the rest, which may be "
            "processor time or a step that had to be tried again."
        )
        return " ".join(parts), ""
    parts.append(_of_timers(o, phase))
    found = whatif.halved(o.facts, o.trial, phase)
    wanted = severity_of(o.m) in {Severity.MISSED, Severity.CLOSE}
    if found and not wanted and (o.m.value or 0.0) >= _WORTH_S:  # nothing has to be done about it, yet it can be asked
        parts.append(found.said)
    return " ".join(
        part for part in parts if part
    ), f"Weigh it: {found.said[0].lower()}{found.said[1:]}" if found and wanted else ""


def _path(o: Outage) -> list[tuple[str, float]]:
    """The steps from the beginning of the outage to its end: what each ends with, and its seconds.

    Only milestones that were seen within the outage, in the order in which one waits for the other.
    """
    if o.what == "writes":
        promoted = moment(o.trial, "promoted")
        taken_in = None if promoted is None else _writes_taken_in(o.trial, promoted)
        seen = [("a store was promoted", promoted), ("the edge sent writes there", taken_in)]
        if promoted is None:
            seen = []
    elif o.phase is not None and o.phase.bound_s is not None:
        seen = [("the edge had taken out a node", moment(o.trial, "detected"))]
    else:  # whether the reads waited for that is not known
        seen = []
    at, steps = o.began_s, []
    for until, t_s in [*seen, (f"{o.what} worked and kept working", o.recovered_s)]:
        if t_s is not None and at + _MOMENT_S <= t_s <= o.recovered_s:
            steps.append((until, t_s - at))
            at = t_s
    return steps if len(steps) > 1 else []


def _writes_taken_in(trial: Trial, since_s: float) -> float | None:
    """When the edge first took in a node for writes after ``since_s``; None where that was not seen."""
    seen = (
        (event.t - trial.clock.zero) / NS
        for event in trial.events
        if event.kind == "edge.server" and event.data.get("up") is True and event.data.get("backend") == "writes"
    )
    return min((t_s for t_s in seen if t_s >= since_s), default=None)


def _of_timers(o: Outage, phase: Phase) -> str:
    """What the bound consists of, and how much of the measured time is one timer for certain."""
    if not phase.parts:
        return ""
    greatest = phase.parts[0]
    said = (
        f"The configuration allows at most {phase.bound_s:.2f} s; the most of it is {greatest.label} "
        f"({greatest.seconds:.2f} s)."
    )
    waited = next((part for part in phase.parts if part.timer == _FIXED), None)
    promoted = moment(o.trial, "promoted")
    if waited is None or promoted is None or not waited.seconds <= promoted - o.began_s <= o.recovered_s - o.began_s:
        return said
    return (
        f"{waited.seconds:.2f} s of the {o.measured} was {phases.TIMERS[_FIXED]} timer, which passes in whole before a "
        f"store is promoted. {said}"
    )


def _counts(o: Outage) -> str:
    """How many probes were hit, from the measure's own evidence; empty where it does not say."""
    own = o.trial.measure(o.m.name) or o.m
    failed, slow = own.evidence.get("failed"), own.evidence.get("slow")
    if not isinstance(failed, int) or not isinstance(slow, int):
        return ""
    return f"Of recdr's own probes in that time {failed:,} failed and {slow:,} {'was' if slow == 1 else 'were'} slow."


def _each(stretches: list[Stretch]) -> str:
    told = [s.said for s in stretches[:_MOST_STRETCHES]]
    more = len(stretches) - len(told)
    return listed([*told, f"{more} more times"] if more > 0 else told)


def _figures(m: Measured, trial: Trial) -> tuple[Figure, ...]:
    allowed = f", allowed {wording.objective(m)}" if m.objective else ""
    precise = f" ({wording.precision(m)})" if wording.precision(m) else ""
    return (
        Figure(f"{wording.label(m.name)}: {wording.measured(m)}{precise}{allowed}", "objectives"),
        Figure(f"Phases and timers of trial {trial.number}", f"trial-{trial.number}"),
    )
