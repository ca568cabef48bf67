"""Baselines written by hand."""

from __future__ import annotations

from typing import Any

from drills.baseline import Baseline, Steady
from drills.baseline.conditions import key_of
from drills.baseline.document import SCHEMA_VERSION

CONDITIONS = {
    "target": "local",
    "identity": "model-1",
    "topology": {"primary": {"nodes": 2}, "standby": {"nodes": 2}, "replication": "semisync"},
    "load": {"rate": 100.0, "users": 30, "workers": 1},
    "probes": {"reads_per_s": 50.0},
}
HOST = {"system": "Linux", "machine": "x86_64", "cpus": 2, "memory_gib": 8.0, "accelerator": "cpu"}


def stored(name: str = "20261122-050000-failover-aaaa", **given: Any) -> Baseline:
    """A candidate; whatever is ``given`` differs from the usual one."""
    conditions = given.pop("conditions", CONDITIONS)
    known: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "id": name,
        "key": key_of(conditions),
        "drill": "failover.yaml",
        "recorded_at": f"2026-11-22T05:00:00.{len(name):03}+00:00",
        "recorded_in": "recdr baseline record",
        "accepted_at": None,
        "note": "",
        "conditions": conditions,
        "host": HOST,
        "versions": {"recdr": "0.1.0"},
        "seconds": 11.0,
        "measures": {"p99_ms": Steady(20.0, 18.0, 24.0), "recall_at_20": Steady(0.3)},
        "quality": {"q0": 1},
        "lists": {"q0": ["a", "b", "c"], "q1": ["d", "e", "f"]},
        "regions": {"standby": {"q0": ["a", "b", "c"]}},
        "gaps": [],
    }
    return Baseline(**{**known, **given})
