"""Each phase of a failover as it was measured, beside the latest that the configuration predicts for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from reports import cleaning

LABELS = {
    "detected": "Edge took a server out",
    "promoted": "Store promoted",
    "rerouted": "First read answered by the other region",
    "first_good": "First good read after a failed one",
    "sustained_read": "Reads back for good",
    "sustained_write": "Writes back for good",
}
TIMERS = {
    "check_inter_s": "HAProxy's check interval (inter)",
    "check_fastinter_s": "HAProxy's interval after a failed check (fastinter)",
    "check_downinter_s": "HAProxy's interval while a server is down (downinter)",
    "check_timeout_s": "HAProxy's check timeout",
    "connect_timeout_s": "HAProxy's connect timeout, once a failing check",
    "error_limit": "connections of traffic that must fail (error-limit)",
    "witness_down_after_s": "the witness's down-after",
    "sentinel_ping_s": "Sentinel's ping period",
    "sentinel_tick_s": "five of Sentinel's own ticks",
    "node_poll_s": "the nodes' polling of store and Sentinels",
    "node_replica_gone_s": "silence after which a replica counts as gone",
    "node_commit_wait_s": "a write's wait for the replica",
    "probe_interval_s": "the gap between two probes",
    "answer_s": "an answer's own time (p99 before the fault)",
    "later_fault_s": "the last fault, injected later",
}


class Value(Protocol):
    """What is needed of a measure of the verdict."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def censored(self) -> bool: ...


@dataclass(frozen=True)
class Part:
    """A timer's share of a bound, in seconds and in percent of the table's longest bar."""

    timer: str
    label: str
    seconds: float
    width: float = 0.0


@dataclass(frozen=True)
class Phase:
    """``measured_s`` and ``bound_s`` are seconds after the fault; None: not observed, not predicted.

    ``at_least``: it had not come when the trial ended, ``measured_s`` after the fault. ``after_heal``: it came only
    after the fault had been healed, which no bound speaks of.
    """

    name: str
    measured_s: float | None
    bound_s: float | None
    parts: tuple[Part, ...] = ()
    dominating: str = ""
    at_least: bool = False
    after_heal: bool = False
    mark: float | None = None
    """Where the measured time lies on the bar, in percent; None beyond its end."""

    @property
    def label(self) -> str:
        return LABELS[self.name]

    @property
    def slower(self) -> bool:
        """Whether it took longer than the configuration predicts."""
        return self.bound_s is not None and self.measured_s is not None and self.measured_s > self.bound_s

    @property
    def undisturbed(self) -> bool:
        return self.name.startswith("sustained") and self.measured_s == 0


def compare(phases: dict[str, Any], modelled: dict[str, Any], measures: Sequence[Value]) -> list[Phase]:
    """The verdict's milestones against its bounds, in the order of ``LABELS``; only those that are in either."""
    healed = cleaning.number(phases.get("healed"))
    found = [_phase(name, phases, cleaning.mapping(modelled.get(name)), measures, healed) for name in LABELS]
    shown = [p for p in found if p.bound_s is not None or p.measured_s is not None]
    # That no read failed is no phase that was missed.
    shown = [p for p in shown if p.measured_s is not None or p.name != "first_good"]
    longest = max((p.bound_s for p in shown if p.bound_s is not None), default=0.0)
    return [_scaled(phase, longest) for phase in shown]


def _phase(
    name: str, phases: dict[str, Any], model: dict[str, Any], measures: Sequence[Value], healed: float | None
) -> Phase:
    seconds, at_least = cleaning.number(phases.get(name)), False
    if seconds is None and name.startswith("sustained_"):
        rto = next((m for m in measures if m.name == f"rto_{name.removeprefix('sustained_')}_s"), None)
        if rto is not None and rto.censored and rto.value is not None:
            seconds, at_least = rto.value, True
    parts = [
        Part(timer, TIMERS.get(timer, timer), value)
        for timer, raw in cleaning.mapping(model.get("parts")).items()
        if (value := cleaning.number(raw)) is not None and value > 0
    ]
    dominating = cleaning.text(model.get("dominating"))
    return Phase(
        name=name,
        measured_s=seconds,
        bound_s=cleaning.number(model.get("bound_s")),
        parts=tuple(sorted(parts, key=lambda part: -part.seconds)),
        dominating=TIMERS.get(dominating, dominating),
        at_least=at_least,
        after_heal=seconds is not None and healed is not None and seconds >= healed,
    )


def _scaled(phase: Phase, longest: float) -> Phase:
    if not longest or phase.bound_s is None:
        return phase
    parts = tuple(Part(p.timer, p.label, p.seconds, round(100 * p.seconds / longest, 2)) for p in phase.parts)
    measured = phase.measured_s
    mark = None if measured is None or measured > longest else round(100 * max(measured, 0.0) / longest, 2)
    return replace(phase, parts=parts, mark=mark)


def took(phase: Phase) -> str:
    """When a phase came, as measured; one that never came has a lower bound."""
    if phase.measured_s is None:
        return "not observed"
    if phase.undisturbed:
        return "not disturbed"
    return f"{'≥ ' if phase.at_least else ''}{phase.measured_s:.2f} s"


def held_against(phase: Phase) -> str:
    """A phase against its bound, in a few words."""
    if phase.bound_s is None:
        return "nothing is predicted"
    if phase.measured_s is None:
        return "predicted, not observed"
    if not phase.slower:
        return "within the bound"
    over = f"{'at least ' if phase.at_least else ''}{phase.measured_s - phase.bound_s:.2f} s"
    if phase.after_heal:
        return f"slower by {over}: it came only after the fault was healed, or was disturbed again by healing"
    return f"slower than the configuration predicts, by {over}"


def sentence(phases: Sequence[Phase]) -> str:
    """What was measured against what the configuration predicts, in two sentences; empty where it predicts nothing."""
    bounded = [p for p in phases if p.bound_s is not None]
    if not bounded:
        return ""
    slower = [p for p in bounded if p.slower]
    named = ", ".join(f"{p.label.lower()} ({took(p)}, at most {p.bound_s:.2f} s)" for p in slower)
    said = f"Slower than the configuration predicts: {named}." if slower else _all_within(bounded)
    longest = max(bounded, key=lambda p: p.bound_s or 0.0)
    greatest = longest.parts[0] if longest.parts else None
    if greatest is None:
        return said
    return (
        f"{said} The longest bound is that of “{longest.label.lower()}”, {longest.bound_s:.2f} s (measured:"
        f" {took(longest)}); what dominates it: {longest.dominating}, {greatest.seconds:.2f} s."
    )


def _all_within(bounded: list[Phase]) -> str:
    unseen = [p for p in bounded if p.measured_s is None]
    if unseen:
        return f"Predicted, but not observed: {', '.join(p.label.lower() for p in unseen)}."
    return "Every phase came within what the configuration predicts."
