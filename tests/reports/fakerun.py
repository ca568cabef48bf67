"""A run directory as a region failover leaves it, written through recdr's own writers.

No service is behind it: a real drill takes minutes and namespaces, and reports only read the record.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from drills.recording.record import EventWriter, ReadBack, Request, RequestWriter, write_readback, write_requests

NS = 1_000_000_000
ANCHOR = 7_000 * NS
FAULT_S, HEAL_S, END_S = 8.0, 22.0, 34.0
READ_OUTAGE_S, WRITE_OUTAGE_S = 0.4, 0.9

TIMERS = {"check_inter_s": 0.1, "check_fall": 2, "witness_down_after_s": 0.4, "sentinel_tick_s": 0.1, "period_s": 1.0}
MODELLED = {
    "detected": {
        "bound_s": 0.35,
        "parts": {"check_inter_s": 0.1, "check_fastinter_s": 0.05, "connect_timeout_s": 0.2},
        "dominating": "connect_timeout_s",
    },
    "promoted": {
        "bound_s": 1.1,
        "parts": {"sentinel_ping_s": 0.2, "witness_down_after_s": 0.4, "sentinel_tick_s": 0.5},
        "dominating": "sentinel_tick_s",
    },
    "sustained_read": {
        "bound_s": 0.38,
        "parts": {"check_inter_s": 0.1, "check_fastinter_s": 0.05, "connect_timeout_s": 0.2, "answer_s": 0.03},
        "dominating": "connect_timeout_s",
    },
}
"""``sustained_read`` is exceeded by what the run measures."""

DRILL = """\
version: 1.0.0
title: The standby region takes over when the whole primary region is lost
description: Lose the primary region, hold, bring it back.
method:
  - type: action
    name: lose-the-primary-region
    provider: {type: python, module: drills.faults.region_loss, func: inject, arguments: {region: primary}}
    pauses: {after: 14}
extensions:
  - name: recdr
    objectives:
      rto_read_s: {max: 1}
      rto_write_s: {max: 3}
"""


def write(
    run_dir: Path,
    *,
    trials: int = 1,
    load: float = 100.0,
    outcome: str = "PASS",
    lost: int = 0,
    seed: int = 1,
    length_s: float = END_S,
    simulated: bool = False,
    same_host: bool = True,
) -> Path:
    """Write a whole run; ``load`` is requests/s beside 50 + 50 probes/s and 20 quality probes/s."""
    run_dir.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    parts = run_dir / "requests.part"
    requests = RequestWriter(parts)
    rows: list[ReadBack] = []
    run = EventWriter(run_dir / "events.jsonl")
    run.write("run.started", t=ANCHOR)
    run.write(
        "target.deployed",
        t=ANCHOR + NS,
        sites=["edge", "primary", "standby"],
        nodes=4,
        model="3f9a1c22b7de",
        data_source="recbole-wheel",
        synthetic=False,
        seconds=9.4,
        replication="semisync",
        timers=TIMERS,
    )
    baseline = {f"q{i}": int(rng.random() < 0.29) for i in range(400)}
    run.write(
        "baseline.recorded",
        t=ANCHOR + 2 * NS,
        id="b-91f2c07a",
        recorded_in="20261120-090000-failover",
        new=False,
        same_host=same_host,
        measures={"recall_at_20": 0.2925, "p99_ms": 8.4, "throughput_rps": 218.2},
        quality=baseline,
    )
    for trial in range(1, trials + 1):
        start = ANCHOR + int((5 + (trial - 1) * (length_s + 10)) * NS)
        _events(run_dir, trial, start, length_s, simulated)
        rows += _requests(requests, rng, trial, start, load, length_s, baseline, lost)
        journal = "journal.json" if trial == 1 else f"journal-{trial}.json"
        (run_dir / journal).write_text(json.dumps(_journal()))
    run.close()
    requests.close()
    write_requests(run_dir / "requests.parquet", [parts])
    parts.unlink()
    write_readback(run_dir / "readback.parquet", rows)
    (run_dir / "drill.yaml").write_text(DRILL)
    (run_dir / "meta.json").write_text(json.dumps(meta(trials)))
    (run_dir / "verdict.json").write_text(json.dumps(verdict(run_dir.name, trials, outcome, lost)))
    return run_dir


def _events(run_dir: Path, trial: int, start: int, length_s: float, simulated: bool) -> None:
    log = EventWriter(run_dir / "events.jsonl", trial)
    _samples(log, start, length_s)

    def at(seconds: float, kind: str, **data: Any) -> None:
        log.write(kind, t=start + int(seconds * NS), **data)

    fault: dict[str, Any] = {"fault": "region_loss", "arguments": {"region": "primary"}}
    fidelity = {
        "kind": "simulated" if simulated else "real",
        "certifies": "how clients, edge and store react when a region falls silent with everything in it",
        "does_not_certify": "the time a real data centre needs to come back",
    }
    at(0, "trial.started", variant=None)
    at(0.1, "load.started")
    at(FAULT_S - 0.1, "fault.intent", **fault)
    at(
        FAULT_S,
        "fault.injected",
        **fault,
        fidelity=fidelity,
        t_begin=start + int(7.92 * NS),
        t_ack=start + int(8 * NS),
    )
    at(
        FAULT_S + 0.21,
        "fault.effect",
        **fault,
        observed=True,
        details={"asked": 2},
        evidence="no node of primary answers a request sent to it from the edge",
    )
    for node, back, seconds in (
        ("1", "reads", 0.31),
        ("2", "reads", 0.33),
        ("1", "writes", 0.31),
        ("2", "writes", 0.34),
    ):
        at(
            FAULT_S + seconds,
            "edge.server",
            server=f"p{node}",
            node=f"primary/node-{node}",
            region="primary",
            backend=back,
            up=False,
        )
    at(FAULT_S + 0.72, "store.promoted", region="standby")
    at(
        FAULT_S + 0.86,
        "edge.server",
        server="s1",
        node="standby/node-1",
        region="standby",
        backend="writes",
        up=True,
    )
    at(
        HEAL_S,
        "fault.healed",
        **fault,
        t_begin=start + int((HEAL_S - 0.6) * NS),
        t_ack=start + int(HEAL_S * NS),
    )
    at(
        HEAL_S + 1.1,
        "heal.confirmed",
        **fault,
        confirmed=True,
        evidence="every node of primary answers from the edge again",
    )
    at(
        HEAL_S + 1.3,
        "edge.server",
        server="p1",
        node="primary/node-1",
        region="primary",
        backend="reads",
        up=True,
    )
    at(length_s - 0.5, "load.stopped")
    at(length_s, "trial.ended")
    for region in ("primary", "standby"):
        at(length_s + 1, "readback.done", region=region, found=100)
    log.close()


def _samples(log: EventWriter, start: int, length_s: float) -> None:
    """Nodes and stores twice a second: the primary says nothing while it is lost, one GPU of the standby degrades."""
    for i in range(int(2 * (length_s - 1))):
        after = i / 2 + 0.25 - FAULT_S
        lost, back = 0 <= after < HEAL_S - FAULT_S, after > HEAL_S - FAULT_S + 2
        primary = None if lost else {"accelerator": "cuda", "state": "ok"}
        second = "degraded" if 2 < after < 6 else "recovering" if 6 <= after < 9 else "ok"
        nodes = {
            "primary/node-1": primary,
            "primary/node-2": primary,
            "standby/node-1": {"accelerator": "cuda", "state": "ok"},
            "standby/node-2": {"accelerator": "cuda", "state": second},
        }
        written = 100_000 + 14_000 * i
        behind = 1_000 + (20_000 if -2 < after < -1 else 0)
        roles = ("master", "slave") if after < 0 else ("slave", "master")
        stores: dict[str, Any] = {
            "primary": {"role": roles[0], "offset": written, "linked": None if after < 0 else back},
            "standby": {"role": roles[1], "offset": written - behind, "linked": True if after < 0 else None},
        }
        if lost or not (back or after < 0):
            stores["primary"] = None
        log.write("nodes.seen", t=start + int((i / 2 + 0.25) * NS), nodes=nodes, stores=stores)


def _requests(  # noqa: PLR0917
    out: RequestWriter,
    rng: random.Random,
    trial: int,
    start: int,
    load: float,
    length_s: float,
    baseline: dict[str, int],
    lost: int,
) -> list[ReadBack]:
    stored: list[str] = []
    streams = [("probe_read", 50.0), ("probe_write", 50.0), ("quality", 20.0), ("load", load)]
    for stream, rate in streams:
        for i in range(int(rate * (length_s - 0.5))):
            due_s = i / rate + (rng.random() / rate if stream == "load" else 0)
            write = stream == "probe_write" or (stream == "load" and rng.random() < 0.15)
            event = f"t{trial}-{stream}-{i}" if write else None
            request = _request(rng, trial, start, stream, due_s, write, event)
            if stream == "quality":
                request.id = f"q{i % 400}"
                request.expected = 1
                request.hits = baseline[request.id] if request.ok and rng.random() > 0.03 else 0
                request.hits = request.hits if request.ok else None
            if event and (request.ok or rng.random() < 0.3):
                stored.append(event)
            out.write(request)
    kept = stored[lost:]
    return [
        ReadBack(trial=trial, region=region, id=event, count=1) for region in ("primary", "standby") for event in kept
    ]


def _request(  # noqa: PLR0917
    rng: random.Random, trial: int, start: int, stream: str, due_s: float, write: bool, event: str | None
) -> Request:
    after = due_s - FAULT_S
    outage = WRITE_OUTAGE_S if write else READ_OUTAGE_S
    back = due_s > HEAL_S + 1.3 and not write
    region = "primary" if after < 0 or back else "standby"
    took_s = rng.lognormvariate(-5.6, 0.35) * (1.5 if region == "standby" else 1)
    status, error = 200, None
    if 0 <= after < outage:
        if rng.random() < 0.7:
            status, error, took_s = (503, "http", 0.004) if write else (0, "timeout", 0.5)
        else:
            took_s = outage - after + rng.random() * 0.05
    due = start + int(due_s * NS)
    answered = status != 0
    return Request(
        trial=trial,
        t_scheduled=due,
        t_sent=due + 200_000,
        t_done=due + int(took_s * NS),
        stream=stream,
        op="event" if write else ("search" if rng.random() < 0.15 else "recommend"),
        id=event,
        status=status,
        error=error,
        region=region if answered else None,
        node=f"{region}/node-{1 + rng.randrange(2)}" if answered else None,
        model_version=("3f9a1c22b7de" if region == "primary" or due_s % 1 < 0.9 else "0ld1c22b7de1")
        if answered
        else None,
        degraded=region == "standby" and 2 < after < 6 and due_s % 1 < 0.5 if answered else None,
    )


def _journal() -> dict[str, Any]:
    run = [
        {
            "activity": {"name": "lose-the-primary-region", "type": "action"},
            "status": "succeeded",
            "duration": 0.31,
        },
        {"activity": {"name": "bring-it-back", "type": "action"}, "status": "succeeded", "duration": 1.72},
    ]
    return {"status": "completed", "deviated": False, "run": run, "rollbacks": []}


def meta(trials: int) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "run": "20261122-013000-failover",
        "drill": {
            "title": "The standby region takes over when the whole primary region is lost",
            "file": "failover.yaml",
            "sha256": hashlib.sha256(DRILL.encode()).hexdigest(),
        },
        "started_at": "2026-11-22T01:30:00+00:00",
        "t_anchor_ns": ANCHOR,
        "versions": {
            "recdr": "0.1.0",
            "chaostoolkit-lib": "1.44.0",
            "valkey": "9.0.1",
            "haproxy": "2.8.5",
            "onnxruntime": "1.31.0",
        },
        "host": {"kernel": "Linux 6.8.0", "cpus": 2, "memory_gib": 23.4, "python": "3.11.9"},
        "accelerator": {"requested": "auto", "used": "cpu"},
        "target": {
            "kind": "local",
            "fidelity": "real processes, sockets and packets on one machine; regions share its cores",
            "ports": {"edge": 18080, "ops": 18081},
        },
        "model": {
            "version": "3f9a1c22b7de",
            "data_source": "recbole-wheel",
            "synthetic": False,
            "metrics": {
                "hr_at_10": 0.194,
                "ndcg_at_10": 0.102,
                "recall_at_20": 0.2925,
                "popularity_hr_at_10": 0.086,
            },
        },
        "seeds": {"run": 42},
        "topology": {"nodes": {"primary": 2, "standby": 2}, "replication": "semisync"},
        "calibration": calibration(),
        "command": ["recdr", "drill", "run", "failover.yaml", "--seed", "42"],
        "trials": trials,
    }


def verdict(run: str, trials: int, outcome: str, lost: int) -> dict[str, Any]:
    """A verdict document: ``outcome`` FAIL misses the bound on reads, UNKNOWN has no read-back."""
    bound = 0.001 if outcome == "FAIL" else 1.0
    unknown = outcome == "UNKNOWN"

    def measures(shift: float) -> dict[str, Any]:
        read = round(READ_OUTAGE_S + shift, 3)
        lists = {"primary": 0.991, "standby": 0.934}
        models = {"3f9a1c22b7de": 0.991, "0ld1c22b7de1": 0.934}
        return {
            "rto_read_s": {
                "value": read,
                "unit": "s",
                "resolution": 0.02,
                "interval": [read - 0.02, read],
                "objective": {"max": bound},
                "outcome": "PASS" if read <= bound else "FAIL",
                "evidence": {"failed": 41, "first_good": "t1-probe_read-420"},
            },
            "rto_write_s": {
                "value": WRITE_OUTAGE_S,
                "unit": "s",
                "resolution": 0.02,
                "interval": [0.88, 0.9],
                "objective": {"max": 3},
                "outcome": "PASS",
                "evidence": {"failed": 38},
            },
            "rpo_events": {
                "value": None if unknown else lost,
                "unit": "events",
                "objective": {"max": 0},
                "outcome": "UNKNOWN" if unknown else ("FAIL" if lost else "PASS"),
                "reason": "The log of standby could not be read back." if unknown else None,
                "evidence": {},
            },
            "recall_at_20": {
                "value": 0.2884,
                "unit": "ratio",
                "interval": [0.251, 0.326],
                "baseline": 0.2925,
                "objective": {"min_ratio": 0.95},
                "outcome": "PASS",
                "evidence": {"users": 240},
            },
            "p99_ms": {
                "value": 12.31,
                "unit": "ms",
                "baseline": 8.4,
                "objective": {"max": 100, "phase": "after"},
                "outcome": "PASS",
                "evidence": {"reads": 600, "raw_ms": 9.77},
            },
            "p99_ms@before": {"value": 8.1, "unit": "ms", "evidence": {"raw_ms": 7.9}},
            "p99_ms@during": {"value": 512.0, "unit": "ms", "evidence": {"raw_ms": 6.2}},
            "overlap_at_20@before": {
                "value": 1.0,
                "unit": "ratio",
                "evidence": {"by_region": {"primary": 1.0}, "by_model": {"3f9a1c22b7de": 1.0}},
            },
            "overlap_at_20@during": {
                "value": 0.951,
                "unit": "ratio",
                "evidence": {
                    "by_region": lists,
                    "by_model": models,
                    "in_the_baseline": {"edge~primary": 1.0, "primary~standby": 0.938},
                },
            },
            "lateness_p99_ms": {"value": 1.7, "unit": "ms", "evidence": {"probes": 4080, "longest_ms": 22.4}},
            "stale_events": {"value": 4, "unit": "events", "evidence": {}},
            "split_brain_events": {"value": 0, "unit": "events", "evidence": {}},
            "availability": {"value": 0.99274, "unit": "ratio", "baseline": 1.0, "evidence": {}},
            "availability@before": {"value": 1.0, "unit": "ratio"},
            "availability@during": {"value": 0.98131, "unit": "ratio"},
            "availability@after": {"value": 1.0, "unit": "ratio"},
        }

    reasons = {
        "PASS": [],
        "FAIL": ["Reads were unavailable for 0.4 s; at most 0.001 s is allowed."],
        "UNKNOWN": ["The log of standby could not be read back, so lost events are not known."],
    }
    listed = [
        {
            "trial": n,
            "variant": None,
            "outcome": outcome if n == trials else "PASS",
            "phases": {
                "injected": 0.0,
                "first_error": 0.012,
                "detected": 0.31,
                "promoted": 0.72,
                "rerouted": 0.36,
                "first_good": None,
                "healed": HEAL_S - FAULT_S,
                "failed_back": 15.3,
                "sustained_read": round(READ_OUTAGE_S + 0.013 * (n - trials), 3),
                "sustained_write": WRITE_OUTAGE_S,
            },
            "modelled": MODELLED,
            "measures": measures(0.013 * (n - trials)),
        }
        for n in range(1, trials + 1)
    ]
    return {
        "schema_version": 1,
        "outcome": outcome,
        "reasons": reasons[outcome],
        "run": "20261122-013000-failover",
        "drill": "The standby region takes over when the whole primary region is lost",
        "trials": listed,
        "measures": {name: m | _over_trials(name, listed) for name, m in measures(0.0).items()},
        "judged_on": "worst",
    }


def _over_trials(name: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """``over_trials`` as the verdict has it with more than one trial; reads are said to be censored in the first."""
    if len(trials) < 2:
        return {}
    values = [trial["measures"][name]["value"] for trial in trials]
    known = sorted(value for value in values if value is not None)
    whole = len(known) == len(values)
    spread = {
        "values": values,
        "censored": [name == "rto_read_s" and i == 0 for i in range(len(values))],
        "median": known[len(known) // 2] if whole else None,
        "median_censored": False,
        "worst": known[-1] if whole else None,
        "range": [known[0], known[-1]] if known else None,
        "interval": [known[0], None] if len(values) >= 6 else None,
        "confidence": 0.96875 if len(values) >= 6 else None,
        "note": None
        if len(values) >= 6
        else f"The median has no 95% interval: 6 trials are needed, {len(values)} were run.",
    }
    return {"over_trials": spread}


def calibration() -> dict[str, Any]:
    """What ``recdr calibrate`` leaves for reports."""

    def row(shape: str, measure: str, truth: float, mean: float, worst: float) -> dict[str, Any]:
        return {
            "shape": shape,
            "measure": measure,
            "unit": "s" if measure.endswith("_s") else "events",
            "truth": [truth, truth],
            "n": 20,
            "observed": 20,
            "mean_error": mean,
            "worst_error": worst,
            "interval": [-0.001, 0.004],
            "outcome": "PASS",
        }

    return {
        "schema_version": 1,
        "outcome": "PASS",
        "reasons": [],
        "recorded_at": "2026-11-20T08:00:00+00:00",
        "summary": [
            row("dark-0.5s", "rto_read_s", 0.5, 0.0012, 0.0071),
            row("dark-2s", "rto_read_s", 2.0, 0.0021, -0.0083),
            row("lost-7", "rpo_events", 7.0, 0.0, 0.0),
        ],
    }
