"""Objectives on shares, counts and latencies that were missed, and objectives that were only just met."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from reports import cleaning, wording
from reports.facts import Facts, Measured, Trial
from reports.findings.finding import (
    THIN,
    Figure,
    Finding,
    Severity,
    certain,
    figure_of,
    judged_in,
    listed,
    part_of,
    share_left,
)

_PHASES = ("before", "during", "after")
_SHARES = ("availability", "failed_reads", "failed_writes")
_LATENCIES = ("p50_ms", "p99_ms")
_SICK = 0.01
_AMPLE = 0.5


def requests_failed(facts: Facts) -> Finding | None:
    """A missed objective on answers: when the requests failed, and how."""
    missed = [m for m in facts.objectives if m.base in _SHARES and m.outcome == "FAIL"]
    trial = judged_in(facts, missed[0]) if missed else None
    if trial is None:
        return None
    named = listed([f"{wording.label(m.name).lower()} {wording.measured(m)}" for m in missed])
    when = _when(trial, missed[0].base)
    how = _errors(missed[0])
    text = " ".join(part for part in (when, how) if part)
    return Finding(
        Severity.MISSED,
        f"Too many requests failed{part_of(facts, trial)}: {named}",
        text,
        tuple(figure_of(m) for m in missed),
        measures=tuple(m.name for m in missed),
    )


def _when(trial: Trial, name: str) -> str:
    counts = {phase: _failed(trial.measure(f"{name}@{phase}")) for phase in _PHASES}
    told = [f"{count:,} {wording.PHASES[phase]}" for phase, count in counts.items() if count is not None]
    return f"Failed requests: {listed(told)}." if len(told) == len(_PHASES) else ""


def _failed(m: Measured | None) -> int | None:
    """How many requests of a phase failed; None where that was not observed for certain."""
    if m is None or not certain(m):
        return None
    count = m.evidence.get("failed") if m.base == "availability" else m.value
    return int(count) if isinstance(count, int | float) else None


def _errors(m: Measured) -> str:
    found = cleaning.mapping(m.evidence.get("errors"))
    kinds = {cleaning.text(k): v for k, v in found.items() if isinstance(v, int) and v > 0}
    most = sorted(kinds.items(), key=lambda pair: -pair[1])[:4]
    told = [f"{'other errors' if kind == 'other' else kind} ({count:,})" for kind, count in most]
    return f"What clients saw: {listed(told)}." if told else ""


def latency(facts: Facts) -> Finding | None:
    """A missed objective on latency: against what it was before, and whether the prober itself was late."""
    m = next((m for m in facts.objectives if m.base in _LATENCIES and m.outcome == "FAIL"), None)
    trial = judged_in(facts, m) if m else None
    if m is None or trial is None:
        return None
    quiet = trial.measure(f"{m.base}@before")
    parts = []
    if quiet is not None and certain(quiet) and not m.name.endswith("@before"):
        already = wording.margin(replace(m, value=quiet.value, possible=None, censored=False)).endswith("over")
        over = ", over the bound already" if already else ""
        parts.append(f"In the same trial it was {wording.measured(quiet)} before the fault{over}.")
    late = _late(trial)
    if late is not None:
        parts.append(
            f"recdr itself was late in asking: 1 % of its probes were sent {wording.measured(late)} or more after they "
            f"were due, and latency counts that in{_raw(m)}."
        )
    return Finding(
        Severity.MISSED,
        f"{wording.label(m.name)}: {wording.measured(m)}{part_of(facts, trial)}, {wording.margin(m) or 'too much'}",
        " ".join(parts),
        (figure_of(m), Figure("By phase", f"trial-{trial.number}")),
        "Repeat the drill on a machine with nothing else on it before you believe this figure." if late else "",
        (m.name,),
    )


def _late(trial: Trial) -> Measured | None:
    m = trial.measure("lateness_p99_ms")
    return m if m is not None and m.value is not None and m.reason else None


def _raw(m: Measured) -> str:
    said = cleaning.number(m.evidence.get("raw_ms"))
    return "" if said is None else f"; counted from sending it was {wording.figure(said, 'ms')}"


def not_told(facts: Facts, told: Collection[str]) -> Finding | None:
    """The missed objectives that no other finding speaks of; ``told`` are the measures of those that do."""
    missed = [m for m in facts.objectives if m.outcome == "FAIL" and m.name not in told]
    if not missed:
        return None
    named = listed([f"{wording.label(m.name).lower()} {wording.measured(m)}" for m in missed])
    reasons = dict.fromkeys(m.reason for m in missed if m.reason)
    return Finding(
        Severity.MISSED,
        f"Missed: {named}",
        " ".join(list(reasons)[:3]),
        tuple(figure_of(m) for m in missed),
        measures=tuple(m.name for m in missed),
    )


def thinnest(facts: Facts) -> Finding | None:
    """The objective that was met by the least: it will be missed first."""
    known = [(left, m) for m in facts.objectives if m.outcome == "PASS" and (left := share_left(m)) is not None]
    if not known:
        return None
    left, m = min(known, key=lambda pair: pair[0])
    inside = _within_doubt(m)
    severity = Severity.CLOSE if left < THIN or inside else Severity.KNOW if left < _AMPLE else Severity.WELL
    if severity is not Severity.CLOSE and facts.outcome != "PASS":
        return None
    name, many = f"“{_lower(wording.label(m.name))}”", len(facts.trials)
    titles = {
        Severity.KNOW: f"The thinnest margin is that of {name}",
        Severity.WELL: f"No objective was close; nearest came {name}",
    }
    close = f"A thin margin: {name}" if left < THIN else f"Met, but by no more than chance explains: {name}"
    return Finding(
        severity,
        titles.get(severity, close),
        f"{wording.measured(m)}, allowed {wording.objective(m)}: {_left(m, left)}. {inside}".strip(),
        (figure_of(m),),
        f"Run more trials to see how often it is missed: recdr drill run {facts.file} --trials {max(6, 2 * many)}"
        if severity is Severity.CLOSE
        else "",
    )


def _left(m: Measured, left: float) -> str:
    bounds = {key.partition("_")[0] for key in m.objective} & {"min", "max"}
    of = "between the two bounds"
    if bounds == {"max"}:
        of = "below the bound"
    elif bounds == {"min"}:
        of = f"between the {'baseline' if 'min_ratio' in m.objective else 'best there can be'} and the bound"
    return f"{100 * left:.0f} % of the room {of} was left"


def _lower(label: str) -> str:
    return label if "@" in label else f"{label[0].lower()}{label[1:]}"


def _within_doubt(m: Measured) -> str:
    """Whether the bound lies within what the figure's interval leaves open; empty where it does not."""
    ends = m.interval
    if "min_ratio" in m.objective and m.baseline:
        raw = [cleaning.number(end) for end in cleaning.sequence(m.evidence.get("ratio_interval"))]
        known = [end * m.baseline for end in raw if end is not None]
        ends = (known[0], known[1]) if len(known) == 2 else None
    if ends is None:
        return ""
    for key, limit in m.objective.items():
        if key not in {"min", "max", "min_ratio", "max_ratio"} or not isinstance(limit, int | float):
            continue
        scaled = limit * (m.baseline or float("nan")) if key.endswith("_ratio") else float(limit)
        beyond = ends[0] < scaled if key.startswith("min") else ends[1] > scaled
        if beyond:
            return "The bound lies within the figure's own interval, so another run may miss it by chance alone."
    return ""


def sick_before(facts: Facts) -> Finding | None:
    """Requests that failed before anything was broken: the fault is not to blame for those."""
    for trial in facts.trials:
        m = trial.measure("availability@before")
        if m is None or m.value is None or not certain(m) or 1 - m.value <= _SICK:
            continue
        return Finding(
            Severity.OPEN if facts.outcome == "UNKNOWN" else Severity.DOUBT,
            f"{100 * (1 - m.value):.1f} % of the requests failed before anything was broken{part_of(facts, trial)}",
            f"What failed then was not the fault's doing. {_errors(m)}".strip(),
            (Figure(f"Requests answered before the fault: {wording.measured(m)}", f"trial-{trial.number}"),),
            "See what is wrong with the service, or lower load.rate, and run the drill again.",
        )
    return None


def latency_after(facts: Facts) -> Finding | None:
    """Reads that were clearly slower after healing than before the fault, in most of the trials."""
    worse = [trial for trial in facts.trials if _slower_after(trial)]
    if not worse or 2 * len(worse) <= len(facts.trials):
        return None
    trial = worse[0]
    before, after = (trial.measure(f"p50_ms@{phase}") for phase in ("before", "after"))
    if before is None or after is None:
        return None
    return Finding(
        Severity.KNOW,
        f"Reads stayed slower after healing: median {wording.measured(after)}, before the fault "
        f"{wording.measured(before)}",
        f"In {len(worse)} of {len(facts.trials)} trials the two differ by more than their intervals leave open."
        if len(facts.trials) > 1
        else "The two differ by more than their intervals leave open.",
        (Figure(f"Medians by phase, trial {trial.number}", f"trial-{trial.number}"),),
        "See whether a cache or a model must warm up again, or whether a region stayed out.",
    )


def _slower_after(trial: Trial) -> bool:
    before, after = (trial.measure(f"p50_ms@{phase}") for phase in ("before", "after"))
    if before is None or after is None or not certain(before) or not certain(after):
        return False
    if before.interval is None or after.interval is None or not before.value or not after.value:
        return False
    return after.interval[0] > before.interval[1] and after.value >= 1.5 * before.value
