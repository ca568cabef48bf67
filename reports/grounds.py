"""What the figures rest on: the calibration of the host, the baseline, and what the service cannot show at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports import cleaning, wording
from reports.facts import Facts, Trial

_USUAL_OUTAGE_S = 2.0


@dataclass(frozen=True)
class Error:
    """How far one measure was off in one scripted shape on the run's host; ``observed`` of ``n`` gave a figure."""

    shape: str
    measure: str
    unit: str
    truth: tuple[float, float] | None
    mean: float | None
    worst: float | None
    observed: int
    n: int
    outcome: str


@dataclass(frozen=True)
class Calibration:
    recorded_at: str
    outcome: str
    reasons: list[str]
    errors: list[Error]


def calibration(facts: Facts) -> Calibration | None:
    """The calibration that ``meta.json`` holds; None where the host was not calibrated."""
    raw = cleaning.mapping(facts.meta.get("calibration"))
    rows = [_error(cleaning.mapping(row)) for row in cleaning.sequence(raw.get("summary"))]
    if not rows:
        return None
    return Calibration(
        recorded_at=wording.moment(raw.get("recorded_at") or "an unknown day"),
        outcome=cleaning.outcome(raw.get("outcome")),
        reasons=[cleaning.text(reason) for reason in cleaning.sequence(raw.get("reasons"))],
        errors=rows,
    )


def _error(raw: dict[str, Any]) -> Error:
    ends = [cleaning.number(end) for end in cleaning.sequence(raw.get("truth"))]
    low, high = (*ends, None, None)[:2]
    return Error(
        shape=cleaning.text(raw.get("shape")),
        measure=cleaning.text(raw.get("measure")),
        unit=cleaning.text(raw.get("unit")),
        truth=None if low is None or high is None else (low, high),
        mean=cleaning.number(raw.get("mean_error")),
        worst=cleaning.number(raw.get("worst_error")),
        observed=int(cleaning.number(raw.get("observed")) or 0),
        n=int(cleaning.number(raw.get("n")) or 0),
        outcome=cleaning.outcome(raw.get("outcome")),
    )


def calibrated(facts: Facts) -> str:
    """The measuring error on the run's host in one sentence, for an outage about as long as the run's."""
    found = calibration(facts)
    if found is None:
        return "These figures are not calibrated on this host: run recdr calibrate to know how far they may be off."
    hurt = next((m.value for m in facts.measures if m.name == "rto_read_s" and m.value), None) or _USUAL_OUTAGE_S
    known = [e for e in found.errors if e.measure == "rto_read_s" and e.truth and e.mean is not None and e.truth[0] > 0]
    if not known:
        return f"Calibrated on this host on {found.recorded_at}."
    best = min(known, key=lambda e: abs((e.truth or (0.0, 0.0))[0] - hurt))
    truth = (best.truth or (0.0, 0.0))[0]
    worst = (
        ""
        if best.worst is None
        else f" (error at most {1_000 * abs(best.worst):.0f} ms in {best.observed} of {best.n})"
    )
    reading = truth + (best.mean or 0.0)
    doubt = "" if found.outcome == "PASS" else f" The calibration itself is {found.outcome}."
    return (
        f"On this host an outage of {truth:.3g} s read as {reading:.3f} s on average{worst}; "
        f"calibrated on {found.recorded_at}.{doubt}"
    )


def error_in_words(error: Error) -> tuple[str, str, str]:
    """Truth, mean and worst error of a row of the calibration, each with its unit."""
    ms = error.unit == "s"
    unit = "ms" if ms else error.unit

    def shown(value: float | None) -> str:
        if value is None:
            return "not read"
        return f"{1_000 * value if ms else value:+.3g} {unit}" if value else f"0 {unit}"

    low, high = error.truth or (None, None)
    if low is None or high is None:
        truth = "–"
    elif f"{low:.3g}" == f"{high:.3g}":
        truth = f"{low:.3g} {error.unit}"
    else:
        truth = f"{low:.3g} to {high:.3g} {error.unit}"
    return truth, shown(error.mean), shown(error.worst)


def baseline(facts: Facts) -> list[tuple[str, str]]:
    """Which baseline the run was held against, as name and value; empty where the run names none."""
    raw = facts.baseline
    if not raw:
        return []
    recorded_in = cleaning.text(raw.get("recorded_in"))
    rows = {
        "Id": cleaning.text(raw.get("id") or raw.get("fingerprint")),
        "Recorded": wording.moment(raw["recorded_at"]) if raw.get("recorded_at") else "",
        "Recorded in": "this run" if raw.get("new") is True or recorded_in == facts.run else recorded_in,
        "Host": _HOSTS.get(str(raw.get("same_host")), ""),
    }
    for name, value in cleaning.mapping(raw.get("measures")).items():
        if (figure := cleaning.number(value)) is not None:
            rows[wording.label(name)] = wording.figure(figure, _UNITS.get(name, "ratio" if "_at_" in name else ""))
    return [(name, value) for name, value in rows.items() if value]


_HOSTS = {"True": "this kind of host", "False": "another kind of host"}
_UNITS = {"p50_ms": "ms", "p99_ms": "ms", "availability": "ratio", "throughput_rps": "requests/s"}


def baseline_warning(facts: Facts) -> str:
    """Why the baseline must be read with care; empty where there is no reason to."""
    if facts.baseline.get("same_host") is not False:
        return ""
    named = "; ".join(cleaning.text(said) for said in cleaning.sequence(facts.baseline.get("host_differences")))
    return (
        f"The baseline was recorded on another kind of host{f' ({named})' if named else ''}. Recommendations are "
        "held against it; latency, availability and throughput are held against the same trial before the fault."
    )


def absent(facts: Facts) -> list[tuple[str, str]]:
    """What a service that recdr did not deploy cannot show, with the reason. Absent is not zero."""
    if not facts.service:
        return []
    given = facts.service
    found = []
    if not given.get("write"):
        found.append(("Writes: how long they were disturbed, what was lost or stored twice", "the drill has no write"))
    elif not given.get("read_back"):
        found.append(("What was lost, stored twice or stored late", "the drill has no way to read events back"))
    if not given.get("region"):
        why = "its answers do not say which region gave them"
        found.append(("Which region answered, rerouting, failing back, two regions acknowledging at once", why))
    if not given.get("held_out"):
        found.append(("Recall, and when recommendations were as good again", "no held-out items are given"))
    if not _seen(facts, "edge.server"):
        found.append(("When the edge noticed", "nobody read a traffic director's log"))
    if not _seen(facts, "store.promoted"):
        found.append(("When the store was promoted", "nobody reported it"))
    if not any(phase.bound_s is not None for trial in facts.trials for phase in trial.phases):
        found.append(("The latest that its configuration allows for each phase", "its timers are not known"))
    return found


def _seen(facts: Facts, kind: str) -> bool:
    return any(event.kind == kind for trial in facts.trials for event in trial.events)


@dataclass(frozen=True)
class Overlap:
    """How alike the lists of a phase and the baseline's own were, from 0 to 1: over all answers, and parts of them.

    ``by_region`` also has ``model VERSION`` for each version where a trial met several.
    """

    phase: str
    over_all: float | None
    by_region: dict[str, float]


def overlaps(trial: Trial) -> list[Overlap]:
    """List overlap phase by phase; empty where it was not measured."""
    measures = [m for m in trial.measures if m.base.startswith("overlap_at_")]
    models = {m.name: figures(m.evidence.get("by_model")) for m in measures}
    several = len({version for by_model in models.values() for version in by_model}) > 1
    found = []
    for phase in ("before", "during", "after"):
        m = next((m for m in measures if m.name.endswith(f"@{phase}")), None)
        if m is not None:
            by_model = {f"model {version}": value for version, value in models[m.name].items() if several}
            parts = figures(m.evidence.get("by_region")) | by_model
            found.append(Overlap(wording.PHASES[phase], m.value, parts))
    return found if any(o.over_all is not None or o.by_region for o in found) else []


def overlaps_in_baseline(trial: Trial) -> dict[str, float]:
    """How alike the edge's and each region's lists were with nothing broken: ``primary~standby`` -> 0 to 1."""
    for m in trial.measures:
        if m.base.startswith("overlap_at_") and (found := figures(m.evidence.get("in_the_baseline"))):
            return found
    return {}


def figures(raw: object) -> dict[str, float]:
    """What of a mapping is a figure, by cleaned name."""
    named = cleaning.mapping(raw).items()
    return {cleaning.text(k): x for k, v in named if (x := cleaning.number(v)) is not None}


def lateness(trial: Trial) -> str:
    """How well the prober kept its schedule, in one sentence; empty where it was not measured."""
    m = trial.measure("lateness_p99_ms")
    if m is None or m.value is None:
        return ""
    longest = cleaning.number(m.evidence.get("longest_ms"))
    worst = "" if longest is None else f", the latest {wording.figure(longest, 'ms')}"
    behind = f" {m.reason}" if m.reason else ""
    return (
        f"The prober sent 99 % of its probes within {wording.measured(m)} of the moment they were due{worst}.{behind}"
    )
