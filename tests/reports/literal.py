"""Runs as reports see them, stated literally: a fault at 0 s, and nothing but what a test says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from drills.recording.record import Event
from reports import happenings, phases, verdicts, writes
from reports.columns import NS, Requests
from reports.facts import Facts, Trial

ZERO = 1_000 * NS
START_S, HEAL_S, END_S = -8.0, 16.0, 30.0
LOST_REGION = {"fault": "region_loss", "arguments": {"region": "primary"}}
TIMERS = {
    "check_inter_s": 0.1, "check_fastinter_s": 0.05, "check_downinter_s": 0.05, "check_timeout_s": 0.1,
    "connect_timeout_s": 0.1, "check_fall": 2, "check_rise": 1, "error_limit": 5,
    "sentinel_ping_s": 0.2, "witness_down_after_s": 0.4, "sentinel_tick_s": 0.1, "node_poll_s": 0.05,
}  # fmt: skip
DEPLOYED = {
    "kind": "local",
    "replication": "semisync",
    "timers": TIMERS,
    "nodes": {"primary": ["primary/node-1"], "standby": ["standby/node-1"]},
}


def event(t_s: float, kind: str, trial: int | None = 1, **data: Any) -> Event:
    return Event(t=ZERO + round(t_s * NS), kind=kind, trial=trial, data=data)


def fault(t_s: float = 0.0, *, healed_s: float | None = HEAL_S, seen: bool = True, **given: Any) -> list[Event]:
    """One fault from its injection to its confirmed healing; ``seen``: its effect was."""
    what = given or LOST_REGION
    events = [
        event(t_s, "fault.injected", **what),
        event(t_s + 0.5, "fault.effect", **what, observed=seen, evidence="nobody answered" if seen else "all answered"),
    ]
    if healed_s is not None:
        events.append(event(healed_s, "fault.healed", **what, t_begin=ZERO + round((healed_s - 0.1) * NS)))
        events.append(event(healed_s + 1, "heal.confirmed", **what, confirmed=True, evidence="all answer"))
    return events


def measure(value: float | None, unit: str = "s", **more: Any) -> dict[str, Any]:
    """A measure as verdict.json has it; with an objective its outcome is to be given."""
    return {"value": value, "unit": unit, **more}


def outage(value: float, most: float | None = 3.0, *, failed: int = 40, slow: int = 0, **more: Any) -> dict[str, Any]:
    """A recovery that began with the fault, held against ``most`` seconds."""
    evidence = {"failed": failed, "slow": slow, "began_s": 0.0, "recovered_s": value}
    judged = {} if most is None else {"objective": {"max": most}, "outcome": "PASS" if value <= most else "FAIL"}
    return {"value": value, "unit": "s", "resolution": 0.02, "evidence": evidence, **judged, **more}


def requests(*disturbed: tuple[float, float], write: bool = True, slow_s: float = 0.0) -> Requests:
    """50 requests a second of one kind; those due in ``disturbed`` fail, or take ``slow_s`` if that is given."""
    due = np.arange(START_S, END_S, 0.02)
    hit = np.zeros(len(due), dtype=np.bool_)
    for since, until in disturbed:
        hit |= (due >= since) & (due < until)
    took = np.where(hit, slow_s or 0.004, 0.004)
    at = ZERO + np.round(due * NS).astype(np.int64)
    everywhere = np.zeros(len(due), dtype=np.int64)
    yes, no = np.ones(len(due), dtype=np.bool_), np.zeros(len(due), dtype=np.bool_)
    return Requests(
        trial=everywhere + 1,
        due=at,
        done=at + np.round(took * NS).astype(np.int64),
        ok=yes if slow_s else ~hit,
        sent=yes,
        write=yes if write else no,
        quality=no,
        region=everywhere,
        hits=np.full(len(due), np.nan),
        expected=np.full(len(due), np.nan),
        ids=pa.chunked_array([pa.nulls(len(due), pa.string())]),
        regions=("primary",),
        model=everywhere - 1,
        degraded=no,
        models=(),
    )


def trial(
    measures: Mapping[str, Any] | None = None,
    *,
    number: int = 1,
    events: Sequence[Event] | None = None,
    milestones: Mapping[str, float | None] | None = None,
    modelled: Mapping[str, Any] | None = None,
    asked: Requests | None = None,
    outcome: str | None = None,
) -> Trial:
    own = list(fault() if events is None else events)
    mine = requests() if asked is None else asked
    at = happenings.clock(own, mine)
    found = verdicts.measures(dict(measures or {}))
    stated = {"injected": 0.0, "healed": HEAL_S, **(milestones or {})}
    return Trial(
        number=number,
        variant="",
        outcome=outcome or _worst(m.outcome for m in found),
        reasons=[],
        measures=found,
        clock=at,
        requests=mine,
        marks=happenings.marks(own, at, stated),
        phases=phases.compare(stated, dict(modelled or {}), found),
        sightings=happenings.sightings(own, at),
        writes=writes.account(mine, {}, set(), {}, set()),
        journal=[],
        journal_status="",
        events=own,
    )


def facts(*trials: Trial, over: Mapping[str, Any] | None = None, **changes: Any) -> Facts:
    """A run of these trials; its figures are those of the first one, but for ``over``."""
    measures = verdicts.measures(dict(over)) if over else list(trials[0].measures) if trials else []
    settings: dict[str, Any] = {
        "run": "r1", "title": "t", "file": "mine.yaml", "drill_sha256": "", "drill_yaml": "",
        "outcome": _worst(t.outcome for t in trials), "judged": True, "reasons": [], "measures": measures,
        "trials": list(trials), "faults": [], "meta": {}, "baseline": {}, "deployed": dict(DEPLOYED), "service": {},
        "judged_on": "worst", "stopped": "",
    }  # fmt: skip
    return Facts(**(settings | changes))


def _worst(outcomes: Iterable[str]) -> str:
    known = set(outcomes)
    return next((outcome for outcome in ("FAIL", "UNKNOWN") if outcome in known), "PASS")


__all__ = ["DEPLOYED", "TIMERS", "event", "facts", "fault", "measure", "outage", "replace", "requests", "trial"]
