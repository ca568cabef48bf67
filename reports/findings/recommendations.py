"""Whether recommendations stayed good: recall, lists, model versions, and answers that said they were degraded."""

from __future__ import annotations

from collections import Counter

from reports import cleaning, grounds, quality, wording
from reports.facts import Facts, Measured, Trial
from reports.findings.finding import (
    Figure,
    Finding,
    Severity,
    certain,
    figure_of,
    judged_in,
    listed,
    part_of,
    severity_of,
)

_LEAST_ANSWERS = 30
_LEAST_DEGRADED = 0.01
_LEAST_OF_A_VERSION = 3
_APART = 0.02
"""Overlaps that differ by less are told apart by nobody; the interval of a mean over 200 users is about as wide."""


def worse(facts: Facts) -> Finding | None:
    """Recall or list overlap that missed its objective, or recall certainly below the baseline's."""
    found = [m for m in facts.measures if m.base.startswith(("recall_at_", "overlap_at_"))]
    missed = [m for m in found if m.outcome == "FAIL"]
    fell = [m for m in found if not missed and m.name == m.base and m.base.startswith("recall_at_") and _fell(m)]
    m = next(iter([*missed, *fell]), None)
    trial = judged_in(facts, m) if m else None
    if m is None or trial is None:
        return None
    named = listed([f"{wording.label(x.name)} {wording.measured(x)}" for x in missed or fell])
    too_alike = bool(missed) and all(wording.margin(x).endswith("over") for x in missed)
    return Finding(
        severity_of(m, harm=True),
        f"{'Recommendations changed less than the drill expects' if too_alike else 'Recommendations were worse'}"
        f"{part_of(facts, trial)}: {named}",
        " ".join(part for part in (_against_baseline(m), _by_phase(trial, m.base)) if part),
        (*(figure_of(x) for x in missed or fell), Figure("By phase and region", f"trial-{trial.number}")),
        measures=tuple(x.name for x in missed or fell),
    )


def _fell(m: Measured) -> bool:
    """Whether the 95 % interval of the ratio to the baseline lies below 1 altogether."""
    ends = [cleaning.number(end) for end in cleaning.sequence(m.evidence.get("ratio_interval"))]
    return certain(m) and bool(m.baseline) and len(ends) == 2 and ends[1] is not None and ends[1] < 1


def _against_baseline(m: Measured) -> str:
    if m.baseline is None or not m.baseline or m.value is None or not certain(m):
        return ""
    baseline = wording.figure(m.baseline, m.unit)
    return f"That is {100 * m.value / m.baseline:.1f} % of the baseline's {baseline} for the same users."


def _by_phase(trial: Trial, base: str) -> str:
    known = {phase: trial.measure(f"{base}@{phase}") for phase in ("before", "during", "after")}
    told = [f"{wording.measured(m)} {wording.PHASES[phase]}" for phase, m in known.items() if m and certain(m)]
    return f"Phase by phase: {listed(told)}." if len(told) > 1 else ""


def regions_differ(facts: Facts) -> Finding | None:
    """Lists of one region that agree less with the baseline than the other's, with the same model version or not."""
    found = [(trial, m) for trial in facts.trials for m in trial.measures if m.base.startswith("overlap_at_")]
    apart = [(t, m) for t, m in found if m.name != m.base and _spread(m) > _APART + _usual(m) and _enough(t, m)]
    if not apart:
        return None
    trial, m = max(apart, key=lambda pair: _spread(pair[1]))
    by_region = grounds.figures(m.evidence.get("by_region"))
    versions = grounds.figures(m.evidence.get("by_model"))
    if not versions:
        return None
    told = listed([f"{value:.3f} from {region}" for region, value in sorted(by_region.items(), key=lambda p: -p[1])])
    phase = wording.PHASES.get(m.name.partition("@")[2], "")
    title = f"Users got other lists from one region than from the other{part_of(facts, trial)}"
    if len(versions) > 1:
        title = f"{title}: {len(versions)} model versions answered"
        text = f"The baseline's lists were matched by {told} {phase}. By model version: {_versions(versions)}."
        action = "" if _planned(trial) else "Find out why the regions serve different releases of the model."
    else:
        title = f"{title}, with the same model version"
        text = (
            f"The baseline's lists were matched by {told} {phase}. As the model was the same, what it was given "
            "differed: the users' histories, or what a node falls back on."
        )
        action = "Compare both regions' event logs at that time, and see whether answers said they were degraded."
    figures = (Figure("The same recommendations?", f"trial-{trial.number}"),)
    return Finding(Severity.KNOW, title, text, figures, action)


def _spread(m: Measured) -> float:
    by_region = grounds.figures(m.evidence.get("by_region"))
    return max(by_region.values()) - min(by_region.values()) if len(by_region) > 1 else 0.0


def _enough(trial: Trial, m: Measured) -> bool:
    """Whether each region that is compared gave enough lists in that phase: a few say nothing."""
    phase = wording.PHASES.get(m.name.partition("@")[2], "")
    asked = {part.region: part.asked for part in quality.parts(trial, {}) if part.phase == phase}
    return all(asked.get(region, 0) >= _LEAST_ANSWERS for region in grounds.figures(m.evidence.get("by_region")))


def _usual(m: Measured) -> float:
    """How far the regions' lists are apart with nothing broken; 0 where the baseline does not say."""
    steady = grounds.figures(m.evidence.get("in_the_baseline"))
    return max((1 - value for value in steady.values()), default=0.0)


def _versions(by_model: dict[str, float]) -> str:
    return listed([f"{value:.3f} from {version}" for version, value in sorted(by_model.items(), key=lambda p: -p[1])])


def _planned(trial: Trial) -> bool:
    """Whether the drill itself had an older release rolled out."""
    return any(e.kind == "fault.injected" and e.data.get("fault") == "model_stale" for e in trial.events)


def versions_seen(facts: Facts) -> Finding | None:
    """Several model versions among the answers while the fault was in force, where no drill asked for it."""
    for trial in facts.trials:
        seen: Counter[str] = Counter()
        for part in _under_the_fault(trial):
            seen.update(part.models)
        counted = {version: count for version, count in seen.most_common() if count >= _LEAST_OF_A_VERSION}
        if len(counted) < 2 or _planned(trial):
            continue
        told = listed([f"{version} ({count:,} answers)" for version, count in counted.items()])
        return Finding(
            Severity.KNOW,
            f"{len(counted)} model versions answered at the same time{part_of(facts, trial)}",
            f"Answers came from {told}: which of them a user got depended on the node that was asked.",
            (Figure("Model versions", f"trial-{trial.number}"),),
            "If no rollout was under way, bring all nodes to one release.",
        )
    return None


def _under_the_fault(trial: Trial) -> list[quality.Part]:
    return [part for part in quality.parts(trial, {}) if part.phase == wording.PHASES["during"]]


def degraded(facts: Facts) -> Finding | None:
    """The share of answers that said they were degraded while the fault was in force, and what that cost."""
    counts = {
        trial.number: (sum(p.degraded for p in parts), sum(p.answers for p in parts))
        for trial in facts.trials
        if (parts := _under_the_fault(trial))
    }
    trial = max((t for t in facts.trials if t.number in counts), key=lambda t: _share(counts[t.number]), default=None)
    if trial is None or _share(counts[trial.number]) < _LEAST_DEGRADED:
        return None
    some, of = counts[trial.number]
    m = next((m for m in trial.measures if m.base.startswith("recall_at_") and m.name.endswith("@during")), None)
    cost = ""
    if m is not None and certain(m) and m.baseline and m.value is not None:
        cost = (
            f"{wording.label(m.base)} over all answers meanwhile: {wording.measured(m)}, "
            f"{wording.figure(m.baseline, 'ratio')} in the baseline for the same users."
        )
    return Finding(
        Severity.KNOW,
        f"{_how_many(some / of)} answers said they were degraded while the fault was in force{part_of(facts, trial)}",
        f"{some:,} of {of:,}. {_means(trial)} {cost}".strip(),
        (Figure("By phase", f"trial-{trial.number}"),),
    )


def _share(count: tuple[int, int]) -> float:
    return count[0] / count[1] if count[1] else 0.0


def _how_many(share: float) -> str:
    if share >= 0.995:
        return "All" if share == 1 else "Nearly all"
    return f"{100 * share:.0f} % of the"


def _means(trial: Trial) -> str:
    if any(e.kind == "fault.injected" and e.data.get("fault") == "gpu_loss" for e in trial.events):
        return "A node without its accelerator answers from the CPU, and says so."
    return "A node answers so when it lacks its accelerator or its store."


def stayed_good(facts: Facts) -> str:
    """Whether recommendations stayed good, in one clause for the verdict; empty where it was not measured."""
    same = [m for m in facts.measures if m.base.startswith("recall_at_")]
    m = next((m for m in same if m.objective), None) or next((m for m in same if m.name == m.base), None)
    if m is None:
        return ""
    if m.value is None or not m.baseline or not certain(m):
        return "whether recommendations stayed good is not known"
    share = m.value / m.baseline
    label = f"{wording.label(m.base).lower()} {wording.measured(m)}, baseline {wording.figure(m.baseline, m.unit)}"
    if m.outcome == "FAIL" or _fell(m):
        return f"recommendations got worse ({label})"
    return f"recommendations stayed {'as good' if share >= 0.995 else 'about as good'} as in the baseline ({label})"
