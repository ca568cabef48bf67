"""How late each milestone may be by the configuration alone: upper bounds, each with the timers it is made of.

A bound is a sum of timers, ``parts`` holds what each contributes, and the greatest dominates. Sources: HAProxy's
configuration manual (``inter``, ``fastinter``, ``downinter``, ``timeout check``, ``error-limit``) and ``check.c``;
``sentinel.c`` of Valkey (``sentinelSendPeriodicCommands``, ``sentinelCheckSubjectivelyDown``, the failover's state
machine); the reference service's own rules (``recsvc/fence.py``, ``recsvc/watch.py``). T is how long a failing check
takes: 0 for a refusal, ``timeout check`` for a process that accepts and is silent, min(``timeout connect``,
``inter``) for a node that cannot be reached.

- **detected** = inter + (fall - 1) × fastinter + fall × T. A check had just succeeded; the next begins after
  ``inter``, and after its failure the others follow after ``fastinter`` each. Where connections are refused, traffic
  can be faster, and the smaller counts: error-limit failing connections, of which the node gets its share of the
  scheduled reads. For silent nodes that is no bound: requests on idle connections fail no connection attempt.
- **promoted** = (ping + tick) + (down-after + tick) + 3 × tick. The master had just answered a ping; the next is sent
  ``ping`` later, stays unanswered for ``down-after``, and each is only noticed at a Sentinel's tick. Then, a tick
  each: the votes are counted, a replica is chosen, it is told to be the master.
- **rerouted**, **first_good**, **sustained_read** = detected + one probe's interval + answer. Whatever is due later
  goes to a node that answers. ``answer`` is no timer: it is the p99 of the same trial before the fault.
- **sustained_write**, where the store moves = promoted + 2 × node_poll (the new master's nodes see its role, then
  ask the Sentinels again) + rise × (downinter + timeout check) (the edge takes them in) + one probe's interval +
  answer; or detected + interval + answer, if that is later. Where the master only loses its replica and may go on
  alone (semisync) = node_poll + replica_gone + commit_wait (a group that still waits for the replica) + rise ×
  (downinter + timeout check) + interval + answer. Where only nodes are gone: as for reads.

What a bound leaves out: processor time, a Sentinel's TILT mode, and a failover that has to be tried again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drills.measures.outage import HOME, Outage, outage
from drills.recording.record import Event

SECOND = 1_000_000_000
INTERVAL = "probe_interval_s"
ANSWER = "answer_s"
LATER_FAULT = "later_fault_s"
Parts = dict[str, float]


@dataclass(frozen=True)
class Traffic:
    """What the clients bring along: scheduled requests a second, and how long an answer takes with nothing broken."""

    reads_per_s: float = 0.0
    probe_reads_per_s: float = 0.0
    probe_writes_per_s: float = 0.0
    answer_s: float = 0.0


def of_trial(events: Iterable[Event], phases: Mapping[str, float | None], answer_s: float) -> dict[str, dict[str, Any]]:
    """The bounds of one trial as they stand in ``verdict.json``; {} where nothing can be predicted.

    ``events`` are those of the trial and of the whole run, ``phases`` its milestones. Nothing is predicted without
    timers (``target.deployed``), for faults in turn, or for a first good read after a failure that healing brought.
    """
    own = list(events)
    deployed = next((e.data for e in own if e.kind == "target.deployed"), {})
    timers, nodes = _figures(deployed.get("timers")), deployed.get("nodes")
    faults = _at_once(own)
    if not timers or not isinstance(nodes, dict) or not faults:
        return {}
    gone = outage([(str(e.data.get("fault")), _mapping(e.data.get("arguments"))) for e in faults], nodes)
    if gone is None:
        return {}
    lead_s = (max(e.t for e in faults) - min(e.t for e in faults)) / SECOND
    replication = str(deployed.get("replication", "semisync"))
    bounds = bound(timers, gone, replication, _traffic(own, answer_s))
    failed, healed = phases.get("first_error"), phases.get("healed")
    if failed is None or (healed is not None and failed >= healed):
        bounds.pop("first_good", None)
    return {name: _entry(parts | ({LATER_FAULT: lead_s} if lead_s > 0 else {})) for name, parts in bounds.items()}


def bound(timers: Mapping[str, float], gone: Outage, replication: str, traffic: Traffic) -> dict[str, Parts]:
    """The parts of each milestone's bound, in seconds; a milestone that does not apply or lacks a timer is left out."""
    model = _Model(timers, gone, replication, traffic)
    wanted = {
        "detected": model.detected,
        "promoted": model.promoted,
        "rerouted": model.rerouted,
        "first_good": model.reads_good,
        "sustained_read": model.reads_good,
        "sustained_write": model.writes_good,
    }
    found: dict[str, Parts] = {}
    for name, predict in wanted.items():
        try:
            parts = predict()
        except KeyError:  # a timer that this target does not state
            continue
        if parts:
            found[name] = parts
    return found


@dataclass(frozen=True)
class _Model:
    timers: Mapping[str, float]
    gone: Outage
    replication: str
    traffic: Traffic

    def detected(self) -> Parts:
        """Until the edge has marked down every node that is gone."""
        return max((self._noticed(node) for node in sorted(self.gone.gone)), key=_total, default={})

    def promoted(self) -> Parts:
        if not self.gone.fails_over:
            return {}
        return {
            "sentinel_ping_s": self.timers["sentinel_ping_s"],
            "witness_down_after_s": self.timers["witness_down_after_s"],
            "sentinel_tick_s": 5 * self.timers["sentinel_tick_s"],
        }

    def rerouted(self) -> Parts:
        return self.reads_good() if self.gone.home_gone else {}

    def reads_good(self) -> Parts:
        if not self.gone.home_hurt or self.gone.all_gone:
            return {}
        return _sum(self._noticed_at_home(), self._probe(self.traffic.probe_reads_per_s))

    def writes_good(self) -> Parts:
        if self.gone.all_gone or (self.replication == "sync" and (self.gone.fails_over or self.gone.master_alone)):
            return {}  # sync acknowledges nothing on one copy
        chains = []
        if self.gone.home_hurt:
            chains.append(self._noticed_at_home())
        if self.gone.fails_over:
            nodes_know = {"node_poll_s": 2 * self.timers["node_poll_s"]}
            chains.append(_sum(self.promoted(), nodes_know, self._taken_in()))
        elif self.gone.home_gone:
            return {}  # the master's nodes are gone, and nobody takes the mastership away from them
        if self.gone.master_alone and self.replication == "semisync":
            waits = {name: self.timers[name] for name in ("node_poll_s", "node_replica_gone_s", "node_commit_wait_s")}
            chains.append(_sum(waits, self._taken_in()))
        if not chains:
            return {}
        return _sum(max(chains, key=_total), self._probe(self.traffic.probe_writes_per_s))

    def _noticed_at_home(self) -> Parts:
        home = (node for node in self.gone.regions[HOME] if node in self.gone.gone)
        return max((self._noticed(node) for node in home), key=_total, default={})

    def _noticed(self, node: str) -> Parts:
        """Until the edge has marked one node down: by its checks, or by failing traffic if that is certain earlier."""
        t = self.timers
        checks = {"check_inter_s": t["check_inter_s"]}
        checks["check_fastinter_s"] = (t["check_fall"] - 1) * t["check_fastinter_s"]
        if node in self.gone.silent:
            name = min("connect_timeout_s", "check_inter_s", key=lambda name: t[name])
            checks = _sum(checks, {name: t["check_fall"] * t[name]})
        elif node in self.gone.frozen:
            checks["check_timeout_s"] = t["check_fall"] * t["check_timeout_s"]
        elif (share := self._reads_of(node)) > 0:
            return min(checks, {"error_limit": t["error_limit"] / share}, key=_total)
        return checks

    def _reads_of(self, node: str) -> float:
        """Scheduled reads a second that the edge sends to a node of the region in use; it takes turns."""
        peers = self.gone.regions[HOME]
        return self.traffic.reads_per_s / len(peers) if node in peers else 0.0

    def _taken_in(self) -> Parts:
        rise = self.timers["check_rise"]
        return {name: rise * self.timers[name] for name in ("check_downinter_s", "check_timeout_s")}

    def _probe(self, rate_per_s: float) -> Parts:
        return {INTERVAL: 1 / rate_per_s if rate_per_s > 0 else 0.0, ANSWER: self.traffic.answer_s}


def _at_once(events: Sequence[Event]) -> list[Event]:
    """The injections of a trial if all came before the first heal, else none: later ones are another outage."""
    injected = sorted((e for e in events if e.kind == "fault.injected" and e.trial is not None), key=lambda e: e.t)
    healed = min((e.t for e in events if e.kind == "fault.healed" and e.trial is not None), default=None)
    return [] if healed is not None and injected and injected[-1].t > healed else injected


def _traffic(events: Sequence[Event], answer_s: float) -> Traffic:
    announced = (e.data.get("rates") for e in events if e.kind == "prober.started" and e.trial is not None)
    known = _figures(next(announced, None))
    reads = known.get("probe_read", 0.0)
    return Traffic(reads + known.get("quality", 0.0), reads, known.get("probe_write", 0.0), answer_s)


def _figures(raw: object) -> dict[str, float]:
    """What of ``raw`` is a positive, finite number."""
    named = _mapping(raw).items()
    return {name: float(x) for name, x in named if isinstance(x, int | float) and math.isfinite(x) and x > 0}


def _mapping(raw: object) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _entry(parts: Parts) -> dict[str, Any]:
    kept = {name: value for name, value in parts.items() if value > 0}
    dominating = max(kept, key=lambda name: kept[name], default=None)
    return {"bound_s": _total(kept), "parts": kept, "dominating": dominating}


def _total(parts: Parts) -> float:
    return math.fsum(parts.values())


def _sum(*all_parts: Parts) -> Parts:
    added: Parts = {}
    for parts in all_parts:
        for name, value in parts.items():
            added[name] = added.get(name, 0.0) + value
    return added
