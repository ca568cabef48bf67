"""One suite for every fault on the local target: it has an effect, heals, heals twice, and heals from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drills.faults import FAULTS
from drills.faults.base import Fault, LooksFirst, arguments, wait_for
from drills.load.clients import Audience, Clients
from drills.naming import shown
from drills.recording.record import EventWriter
from drills.recording.rundir import RunDir
from drills.spec import Load, ProbeRates
from drills.spec import load as load_drill
from drills.spec.model import FaultUse
from drills.targets.local.target import LocalTarget
from drills.targets.opening import needs_of
from drills.targets.registry import TARGET_VARIABLE
from drills.undo import RUN_VARIABLE, TRIAL_VARIABLE, UndoLog, unhealed
from recsvc.bundle import Bundle

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
MARK = f"{tempfile.gettempdir()}/recdr-contract-{os.getpid()}"
CHECK = {"command": ["test", "-e", MARK]}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("region_loss", {"region": "primary"}),
    ("region_loss", {"region": "standby"}),
    ("node_kill", {"node": "primary/node-1"}),
    ("node_kill", {"node": "standby/node-2", "signal": "TERM"}),
    ("node_kill", {"region": "standby", "count": 2, "restart": True}),
    ("node_pause", {"region": "primary", "count": 2}),
    ("node_slow", {"node": "primary/node-1", "share": 0.05}),
    ("store_kill", {"region": "primary"}),
    ("store_pause", {"region": "standby"}),
    ("replication_stop", {}),
    ("disk_full", {"region": "primary"}),
    ("disk_full", {"region": "standby"}),
    ("partition", {"a": "primary", "b": "edge,standby"}),
    ("partition", {"a": "primary/node-1", "b": "primary/store"}),
    ("partition", {"a": "primary", "b": "edge,standby", "direction": "a_to_b"}),
    ("edge_cut", {"region": "primary"}),
    ("edge_cut", {"region": "standby"}),
    ("link", {"a": "primary", "b": "standby", "rate_mbit": 2}),
    ("link", {"a": "primary", "b": "standby/store", "latency_ms": 40, "jitter_ms": 5, "loss": 0.05}),
    ("load_surge", {"factor": 3}),
    ("capacity", {"region": "standby", "peak": 1.5}),
    ("gpu_loss", {"node": "primary/node-1"}),
    ("gpu_loss", {"region": "standby", "count": 2, "layer": "simulated"}),
    ("gpu_slow", {"node": "primary/node-1", "delay_ms": 250.0}),
    ("model_corrupt", {"node": "primary/node-1"}),
    ("model_corrupt", {"node": "standby/node-1", "file": "items.json", "by": "restart"}),
    ("model_stale", {"region": "standby", "count": 2}),
    ("custom", {"inject": {"command": ["touch", MARK]}, "heal": {"command": ["rm", "-f", MARK]}, "check": CHECK}),
    ("noop", {}),
]


def test_every_fault_has_a_case() -> None:
    assert {name for name, _ in CASES} == set(FAULTS)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{shown(case[1])}".replace("/", "."))
def fault(request: pytest.FixtureRequest, tmp_path: Path) -> Fault:
    """The fault of a case; skipped where this kernel cannot do it, and with a load running where it needs one."""
    name, arguments = request.param
    for need in needs_of(FaultUse(name, arguments, 0)):
        if why := LocalTarget.lacks(need):
            pytest.skip(why)
    if getattr(FAULTS[name], "needs_load", False):
        request.getfixturevalue("load")
    return FAULTS[name](**arguments)


def look_first(fault: Fault, lab: LocalTarget) -> list[str]:
    """See the lab unbroken, where the fault wants to; returns what its healing must know."""
    return fault.look_first(lab) if isinstance(fault, LooksFirst) else []


@pytest.fixture
def load(lab: LocalTarget, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few users on the lab, as in the first trial of a run in ``tmp_path``."""
    run, drill = RunDir(tmp_path), load_drill(ROOT / "experiments" / "load-surge.yaml")
    drill = replace(drill, load=Load(rate=20, users=10), probes=ProbeRates(reads_per_s=5, writes_per_s=0))
    for folder in (run.parts, run.logs):
        folder.mkdir()
    audience = Audience.of(Bundle.load(bundle_path), 5, 1)
    clients = Clients(run, drill, lab.deployment, audience, 1, 1)
    clients.start()
    try:
        deadline = time.monotonic() + 30
        while not clients.ready() and time.monotonic() < deadline:
            time.sleep(0.05)
        EventWriter(run.events, 1).write("load.started", rates=clients.rates, load_rps=clients.load_rps)
        monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
        monkeypatch.setenv(TRIAL_VARIABLE, "1")
        yield
    finally:
        clients.stop()


def test_heal_before_inject_changes_nothing(lab: LocalTarget, fault: Fault) -> None:
    fault.heal(lab)
    assert fault.healed(lab).observed
    assert not fault.took_effect(lab).observed


def test_takes_effect_heals_and_heals_twice(lab: LocalTarget, fault: Fault) -> None:
    look_first(fault, lab)
    try:
        fault.inject(lab)
        effect = wait_for(lambda: fault.took_effect(lab), 5.0)
        assert effect.observed == (fault.name != "noop"), effect.text
    finally:
        fault.heal(lab)
    assert wait_for(lambda: fault.healed(lab), 30.0).observed
    fault.heal(lab)
    assert fault.healed(lab).observed
    assert not fault.took_effect(lab).observed


def test_heals_from_a_fresh_process(lab: LocalTarget, fault: Fault, tmp_path: Path) -> None:
    UndoLog(tmp_path).intend(fault.name, arguments(fault), look_first(fault, lab))
    fault.inject(lab)
    script = f"from drills.faults.{fault.name} import heal; heal(**{arguments(fault)!r})"
    environment = {**os.environ, TARGET_VARIABLE: str(lab.reference), RUN_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    assert fault.healed(lab).observed
    assert unhealed(tmp_path) == []
