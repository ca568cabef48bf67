"""Writes that were lost, stored twice, stored late, or acknowledged by two regions in turn."""

from __future__ import annotations

from reports import cleaning, wording
from reports.facts import Facts, Measured, Trial
from reports.findings.finding import (
    Figure,
    Finding,
    Severity,
    certain,
    figure_of,
    judged_in,
    measure,
    moment,
    part_of,
    severity_of,
)


def lost(facts: Facts) -> Finding | None:
    """Acknowledged events that a region lacks, why, and which replication mode would not have lost them."""
    m = measure(facts, "rpo_events")
    trial = judged_in(facts, m) if m else None
    if m is None or not m.value or trial is None or (not certain(m) and m.outcome != "FAIL"):
        return None
    own = trial.measure(m.name) or m
    sent = cleaning.number(own.evidence.get("acknowledged"))
    of = "" if sent is None else f" of {sent:,.0f}"
    count = wording.measured(m)
    return Finding(
        severity_of(m, harm=True),
        f"{count}{of} acknowledged events were lost{part_of(facts, trial)}",
        " ".join(part for part in (_where(own), _why(facts, trial)) if part),
        (figure_of(m), Figure("What was lost, event by event", f"trial-{trial.number}")),
        _remedy(facts.replication),
        (m.name, "rpo_s"),
    )


def _where(m: Measured) -> str:
    everywhere = cleaning.number(m.evidence.get("lost_everywhere"))
    if everywhere is None or m.value is None:
        return ""
    if everywhere >= m.value:
        return "No region has them."
    by_region = cleaning.mapping(m.evidence.get("lost_by_region"))
    lacking = [cleaning.text(r) for r, n in by_region.items() if isinstance(n, int) and n > 0]
    if len(lacking) == 1 and not everywhere:
        return f"Only {lacking[0]} lacks them: whoever is served from there will miss them."
    return f"{everywhere:,.0f} of them are in no region at all."


def _why(facts: Facts, trial: Trial) -> str:
    age = trial.measure("rpo_s")
    before = cleaning.number(age.evidence.get("lost_before_fault")) if age else None
    after = cleaning.number(age.evidence.get("lost_after_fault")) if age else None
    if before is None or after is None:
        return ""
    parts = []
    if before:
        parts.append(f"{before:,.0f} had been acknowledged before the fault.")
    if after:
        parts.append(f"{after:,.0f} were acknowledged after the fault had struck.")
    if facts.replication != "async":
        return " ".join(parts)
    if after and moment(trial, "promoted") is not None:
        parts.append(
            "With async replication a master that is cut off goes on acknowledging events; once another store is "
            "promoted, what it alone had is dropped."
        )
    elif before:
        parts.append("With async replication an event is acknowledged before the other region has it.")
    return " ".join(parts)


def _remedy(replication: str) -> str:
    if replication == "async":
        return (
            "Try replication: semisync, which acknowledges an event only once both regions have it, or one is provably "
            "alone, and refuses writes for a moment instead. Run this drill with it before you switch."
        )
    if replication in {"semisync", "sync"}:
        return (
            f"{replication} replication acknowledges no event that only one of two connected regions has, so none "
            "should be lost: compare the stores' and nodes' logs at the time of the oldest lost event."
        )
    return ""


def split_brain(facts: Facts) -> Finding | None:
    """Two regions that acknowledged in turn."""
    m = measure(facts, "split_brain_events")
    trial = judged_in(facts, m) if m else None
    if m is None or not m.value or trial is None or (not certain(m) and m.outcome != "FAIL"):
        return None
    return Finding(
        severity_of(m, harm=True),
        f"Two regions acknowledged writes in turn, as if each were the master{part_of(facts, trial)}",
        f"{wording.count(int(m.value), 'acknowledgement')} came from a region after another one had taken over, "
        "without a promotion in between that would explain it. What each of them stored by itself has to be "
        "reconciled, or is lost.",
        (figure_of(m), Figure("What was lost", f"trial-{trial.number}")),
        "" if m.objective else "Ask for it in the drill: split_brain_events: {max: 0}.",
        (m.name,),
    )


def twice(facts: Facts) -> Finding | None:
    """Events that stand in a log more than once."""
    m = measure(facts, "duplicated_events")
    trial = judged_in(facts, m) if m else None
    if m is None or not m.value or trial is None or (not certain(m) and m.outcome != "FAIL"):
        return None
    one = m.value == 1
    return Finding(
        severity_of(m, harm=True),
        f"{wording.measured(m)} {'event was' if one else 'events were'} stored more than once{part_of(facts, trial)}",
        "recdr's clients send no event twice, so something between them and the store did, or the store replayed it.",
        (figure_of(m), Figure("What was lost", f"trial-{trial.number}")),
        "Look for retries of writes, and let the store refuse an id that it has.",
        (m.name,),
    )


def late(facts: Facts) -> Finding | None:
    """Events that a region only got after healing."""
    m = measure(facts, "stale_events")
    trial = judged_in(facts, m) if m else None
    if m is None or not m.value or trial is None or not certain(m):
        return None
    return Finding(
        Severity.MISSED if m.outcome == "FAIL" else Severity.KNOW,
        f"{wording.measured(m)} acknowledged events came late to a region{part_of(facts, trial)}",
        "They were missing there when it was first read after healing, and had come when it was last read: whoever was "
        "served from there did not see them meanwhile. None of these is lost.",
        (figure_of(m), Figure("What was lost", f"trial-{trial.number}")),
        measures=(m.name,),
    )
