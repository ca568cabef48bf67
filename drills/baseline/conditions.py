"""What must be the same for two recordings to be compared, and what only should be."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from drills.recording import rundir
from drills.spec import Drill

MEMORY_TOLERANCE = 1.25
"""Memory within this factor is the same kind of host: kernels and virtual machines keep some for themselves."""
_NOT_COMPARED = {"load.workers"}
"""More processes send the same load."""


def conditions_of(drill: Drill, identity: str) -> dict[str, Any]:
    """Topology, identity (the model or data set), load and probes of a drill.

    Where nodes compute is no part of it but of the kind of host; of an external service recdr knows no topology.
    """
    topology = {
        "primary": {"nodes": drill.topology.primary.nodes},
        "standby": {"nodes": drill.topology.standby.nodes},
        "replication": drill.topology.replication,
    }
    return {
        "target": drill.target,
        "identity": identity,
        "topology": topology if drill.target == "local" else None,
        "load": dataclasses.asdict(drill.load),
        "probes": dataclasses.asdict(drill.probes),
    }


def key_of(conditions: Mapping[str, Any]) -> str:
    """16 hex digits over everything that makes two recordings comparable."""
    parts = {path: value for path, value in _flat(conditions) if path not in _NOT_COMPARED}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """``load.rate: 50 there, 100 here`` for each condition that differs."""
    theirs, ours = dict(_flat(there)), dict(_flat(here))
    paths = [path for path in {**theirs, **ours} if path not in _NOT_COMPARED]
    return [
        f"{path}: {_shown(theirs.get(path))} there, {_shown(ours.get(path))} here"
        for path in paths
        if theirs.get(path) != ours.get(path)
    ]


def kind_of_host(accelerator: str | None) -> dict[str, Any]:
    """This machine, and where the nodes compute: what latencies depend on."""
    facts = rundir.host_facts()
    return {**{name: facts[name] for name in ("system", "machine", "cpus", "memory_gib")}, "accelerator": accelerator}


def host_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """In what two hosts are of different kinds; a simulated accelerator computes on the CPU and counts as one."""
    found = [
        f"{name}: {_shown(there.get(name))} there, {_shown(here.get(name))} here"
        for name in ("system", "machine", "cpus")
        if there.get(name) != here.get(name)
    ]
    if _computes(there) != _computes(here):
        found.append(f"accelerator: {_computes(there)} there, {_computes(here)} here")
    theirs, ours = _gib(there), _gib(here)
    if max(theirs, ours) > MEMORY_TOLERANCE * min(theirs, ours):
        found.append(f"memory: {theirs:g} GiB there, {ours:g} GiB here")
    return found


def _computes(host: Mapping[str, Any]) -> str:
    accelerator = host.get("accelerator")
    return "cpu" if accelerator in ("simulated", "cpu") else str(accelerator or "none told")


def _gib(host: Mapping[str, Any]) -> float:
    found = host.get("memory_gib")
    return float(found) if isinstance(found, int | float) else 0.0


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", inner


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
