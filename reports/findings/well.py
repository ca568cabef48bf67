"""What went well, with figures: a passing drill teaches, too."""

from __future__ import annotations

from reports import cleaning
from reports.facts import Facts
from reports.findings.finding import (
    Figure,
    Finding,
    Severity,
    certain,
    injections,
    listed,
    measure,
    moment,
    worst_trial,
)
from reports.findings.recommendations import stayed_good
from reports.findings.stretches import disturbed


def went_well(facts: Facts) -> Finding | None:
    """Everything that the record shows to have held; None where nothing was broken, or nothing held."""
    trial = worst_trial(facts)
    if trial is None or facts.outcome == "UNKNOWN" or not injections(trial):
        return None
    parts = [said for said in (_undisturbed(facts), _kept(facts), _good(facts), _back(facts)) if said]
    if not parts:
        return None
    first, *rest = parts
    return Finding(
        Severity.WELL,
        f"{first[0].upper()}{first[1:]}",
        " ".join(f"{said[0].upper()}{said[1:]}." for said in rest),
        (Figure("All figures", "objectives"),),
    )


def _undisturbed(facts: Facts) -> str:
    named = listed([f"{kind}s" for kind in ("read", "write") if _never_disturbed(facts, kind)])
    return f"no disturbance of {named} was seen{' in any trial' if len(facts.trials) > 1 else ''}" if named else ""


def _never_disturbed(facts: Facts, kind: str) -> bool:
    """By the probes, and by every other client, too."""
    m = measure(facts, f"rto_{kind}_s")
    if m is None or m.value != 0 or not certain(m):
        return False
    return not any(disturbed(trial, write=kind == "write", prompt_s=facts.prompt_s) for trial in facts.trials)


def _kept(facts: Facts) -> str:
    m = measure(facts, "rpo_events")
    if m is None or m.value != 0 or not certain(m):
        return ""
    sent = cleaning.number(m.evidence.get("acknowledged"))
    return f"none of {sent:,.0f} acknowledged events was lost" if sent else "no acknowledged event was lost"


def _good(facts: Facts) -> str:
    said = stayed_good(facts)
    return said if said.startswith("recommendations stayed") else ""


def _back(facts: Facts) -> str:
    """When reads were answered by the usual region again; empty where they never left it, or did not come back."""
    trial = worst_trial(facts)
    back, healed = (moment(trial, key) if trial else None for key in ("failed_back", "healed"))
    if trial is None or back is None or healed is None or back < healed:
        return ""
    where = f" (trial {trial.number})" if len(facts.trials) > 1 else ""
    after = f"{back - healed:.1f} s" if back - healed >= 0.05 else "at once"
    return f"reads were answered by the usual region again {after} after healing{where}"
