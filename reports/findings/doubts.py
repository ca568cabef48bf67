"""What leaves a verdict open or makes its figures doubtful, and trials that do not agree."""

from __future__ import annotations

from reports import cleaning, grounds, phases, wording
from reports.facts import Facts, Measured, Trial
from reports.findings.finding import (
    THIN,
    Figure,
    Finding,
    Severity,
    injections,
    judged_in,
    listed,
    moment,
    part_of,
    share_left,
)

_FAR_APART = 2.0
"""A worst trial so many times the median is another kind of trial."""
_FAR_APART_S = 0.5


def without_effect(facts: Facts) -> Finding | None:
    """A fault that changed nothing that recdr could see: the drill's question was not asked."""
    for trial in facts.trials:
        unseen = [s for s in trial.sightings if s.what.startswith("Effect of") and s.held is False]
        if not injections(trial) or not unseen:
            continue
        return Finding(
            Severity.OPEN,
            f"{_name(unseen[0].what)} had no effect that recdr could see{part_of(facts, trial)}",
            f"What it saw: {unseen[0].evidence}. So nothing here shows how the service takes this fault.",
            (Figure("What recdr saw", f"trial-{trial.number}"),),
            ""
            if unseen[0].what.endswith(" noop")
            else "Make the fault stronger, or aim it at what serves the users, and run the drill again.",
        )
    return None


def _name(what: str) -> str:
    return f"The fault {what.removeprefix('Effect of ').removeprefix('Healing of ')}"


def not_injected(facts: Facts) -> Finding | None:
    """A trial in which nothing was broken."""
    empty = [trial for trial in facts.trials if not injections(trial)]
    if not empty:
        return None
    named = listed([str(trial.number) for trial in empty])
    return Finding(
        Severity.OPEN,
        "Nothing was broken in this drill" if len(facts.trials) == 1 else f"Nothing was broken in trial {named}",
        "No injection was recorded, so there is nothing that the service could have stood or not.",
        (Figure("The event log", f"trial-{empty[0].number}"),),
        "See in the journal which step failed.",
    )


def not_healed(facts: Facts) -> Finding | None:
    """A heal that nobody could confirm."""
    for trial in facts.trials:
        looks = [s for s in trial.sightings if s.what.startswith("Healing of")]
        # A look that failed and one that succeeded later is a heal that was confirmed.
        failed = [s for s in looks if s.held is False and not any(o.held and o.what == s.what for o in looks)]
        if not failed:
            continue
        return Finding(
            Severity.OPEN,
            f"{_name(failed[0].what)} was not seen to be healed{part_of(facts, trial)}",
            f"What recdr saw: {failed[0].evidence}.",
            (Figure("What recdr saw", f"trial-{trial.number}"),),
            f"Heal it, and look at the service before anything else runs on it: recdr drill heal {facts.run}",
        )
    return None


def not_known(facts: Facts) -> Finding | None:
    """Objectives whose measure was not observed, or not for certain."""
    unknown = [m for m in facts.objectives if m.outcome == "UNKNOWN"]
    if not unknown:
        return None
    named = listed([wording.label(m.name).lower() for m in unknown])
    return Finding(
        Severity.OPEN,
        f"{wording.count(len(unknown), 'objective')} could not be judged: {named}",
        " ".join(dict.fromkeys(_why(m) for m in unknown[:3])),
        tuple(Figure(f"{wording.label(m.name)}: {wording.measured(m)}", "objectives") for m in unknown[:3]),
    )


def _why(m: Measured) -> str:
    return m.reason or f"{wording.label(m.name)} was not observed."


def slower_than_predicted(facts: Facts) -> Finding | None:
    """Phases later than the sum of the configuration's timers allows."""
    found = [(trial, [p for p in trial.phases if p.slower and not p.after_heal]) for trial in facts.trials]
    trial, slower = max(found, key=lambda pair: _excess(pair[1]), default=(None, []))
    if trial is None or not slower:
        return None
    named = listed([f"{p.label.lower()} ({phases.took(p)}, at most {p.bound_s:.2f} s)" for p in slower])
    return Finding(
        Severity.KNOW,
        f"Slower than the configuration predicts{part_of(facts, trial)}: {named}",
        "The timers alone do not explain that. What a prediction leaves out: processor time, a Sentinel that distrusts "
        "its own clock, and a step that had to be tried again.",
        (Figure("Measured against modelled", f"trial-{trial.number}"),),
        "See whether the machine was busy (recdr's own lateness tells), then the Sentinels' and nodes' logs (logs/).",
    )


def _excess(slower: list[phases.Phase]) -> float:
    return max(((p.measured_s or 0.0) - (p.bound_s or 0.0) for p in slower), default=-1.0)


def before_the_edge_noticed(facts: Facts) -> Finding | None:
    """Reads that failed before the edge had taken anything out; silent where nobody read a traffic director's log."""
    for trial in facts.trials:
        detected, begun = moment(trial, "detected"), injections(trial)
        if detected is None or detected <= 0 or len(begun) != 1:
            continue
        mine, at = trial.requests, trial.clock
        until = at.zero + int(detected * 1e9)
        failed = mine.failed & ~mine.write & (mine.done >= at.zero)
        early = int((failed & (mine.due < until)).sum())
        healed = at.end if at.healed is None else at.healed
        in_force = int((failed & (mine.due < healed)).sum())
        if early and 2 * early >= in_force:
            return Finding(
                Severity.KNOW,
                f"{early:,} of the {in_force:,} reads that failed under the fault{part_of(facts, trial)} were sent "
                "before the edge had taken a node out",
                f"The edge took the first node out {detected:.2f} s after the fault; until then it sent reads where "
                "nobody answered.",
                (Figure("Edge took a server out", f"trial-{trial.number}"),),
                "Retry a failed read on another node, or check the nodes more often.",
            )
    return None


def trials_disagree(facts: Facts) -> Finding | None:
    """Objectives that some trials met and others missed; else a recovery that took far longer in one trial."""
    if len(facts.trials) < 2:
        return None
    for m in facts.objectives:
        missed = [t.number for t in facts.trials if (x := t.measure(m.name)) and x.outcome == "FAIL"]
        met = [t.number for t in facts.trials if (x := t.measure(m.name)) and x.outcome == "PASS"]
        if missed and met:
            return Finding(
                Severity.CLOSE if facts.outcome == "PASS" else Severity.KNOW,
                f"The trials do not agree: {len(missed)} of {len(facts.trials)} missed “{_lower(m)}”",
                f"Missed in trial {listed([str(n) for n in missed])}. {_spread(m)}".strip(),
                (Figure("Trials side by side", "trials"),),
                "Compare a trial that missed it with one that met it: the moment of the fault differs, and what else "
                "the machine did.",
            )
    return _one_far_off(facts)


def _spread(m: Measured) -> str:
    return f"Median {wording.median(m)}, worst {wording.worst(m)}." if m.over_trials and m.over_trials.median else ""


def _one_far_off(facts: Facts) -> Finding | None:
    for m in facts.measures:
        over, trial = m.over_trials, judged_in(facts, m)
        if (
            m.name not in {"rto_read_s", "rto_write_s"}
            or over is None
            or over.median is None
            or over.worst is None
            or trial is None
        ):
            continue
        if over.worst < _FAR_APART * over.median or over.worst - over.median < _FAR_APART_S:
            continue
        return Finding(
            Severity.KNOW,
            f"Trial {_worst_of(facts, m, trial)} took far longer: {_lower(m)} {wording.worst(m)}, "
            f"median {wording.median(m)}",
            f"Over {len(over.values)} trials.",
            (Figure("Trials side by side", "trials"),),
            "Compare the two trials' timelines: a recovery that is sometimes slow will be slow when it counts.",
        )
    return None


def _lower(m: Measured) -> str:
    return wording.label(m.name).lower()


def _worst_of(facts: Facts, m: Measured, otherwise: Trial) -> int:
    over = m.over_trials
    same = [t.number for t in facts.trials if over and (x := t.measure(m.name)) and x.value == over.worst]
    return same[0] if same else otherwise.number


def late_prober(facts: Facts) -> Finding | None:
    """recdr's own lateness, where it was above its bound; silent where a missed latency tells of it already."""
    late = [(t, m) for t in facts.trials if (m := t.measure("lateness_p99_ms")) and m.value is not None and m.reason]
    if not late or any(m.base in {"p50_ms", "p99_ms"} and m.outcome == "FAIL" for m in facts.objectives):
        return None
    trial, m = max(late, key=lambda pair: pair[1].value or 0.0)
    bound = cleaning.number(m.evidence.get("bound_ms"))
    return Finding(
        Severity.DOUBT,
        f"recdr itself was late in asking{part_of(facts, trial)}: 1 % of its probes by {wording.measured(m)} or more",
        f"Latencies count from the moment a probe was due, so they are partly its own"
        f"{'' if bound is None else f'; up to {bound:g} ms would be usual'}.",
        (Figure("By phase", f"trial-{trial.number}"),),
        "Give the machine a core that nothing else uses, or ask for less load.",
    )


def uncalibrated(facts: Facts) -> Finding | None:
    """Thin margins of times, on a host where nobody has measured how far such figures are off."""
    if not facts.trials or grounds.calibration(facts) is not None:
        return None
    near = [
        m
        for m in facts.objectives
        if m.unit in {"s", "ms"} and (left := share_left(m)) is not None and abs(left) < THIN
    ]
    if not near:
        return None
    named = listed(
        [f"{wording.label(m.name).lower()} {wording.measured(m)}, allowed {wording.objective(m)}" for m in near]
    )
    return Finding(
        Severity.DOUBT,
        "How exact these figures are on this host was never measured, and a bound is near",
        f"Near its bound: {named}.",
        (Figure("Measuring error on this host", "grounds"),),
        "recdr calibrate (a few minutes, once a host)",
    )
