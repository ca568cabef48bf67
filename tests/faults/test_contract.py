"""One suite for every fault on the local target: what drills.faults.base promises of each, in one lab.

A case is a fault's name and its arguments; a third element is a reason to skip it. What this host's kernel cannot do is
skipped by itself, and faults that need users on the service get some.
"""

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

from drills.faults import FAULTS, base
from drills.faults.base import EFFECT_TIMEOUT_S, HEAL_TIMEOUT_S, Evidence, Fault, LooksFirst, arguments, wait_for
from drills.faults.custom import Custom, Doing
from drills.load.clients import Audience, Clients
from drills.naming import shown
from drills.recording.record import EventWriter, read_events
from drills.recording.rundir import RunDir
from drills.spec import Load, ProbeRates, Topology
from drills.spec import arguments as rules
from drills.spec import load as load_drill
from drills.targets.local.target import LocalTarget
from drills.targets.opening import needs_with
from drills.targets.registry import TARGET_VARIABLE
from drills.undo import RUN_VARIABLE, TRIAL_VARIABLE, Intent, unhealed
from recsvc.bundle import Bundle

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
MARK = f"{tempfile.gettempdir()}/recdr-contract-{os.getpid()}"
CHECK = {"command": ["test", "-e", MARK]}
NODES = {"primary": ("primary/node-1", "primary/node-2"), "standby": ("standby/node-1", "standby/node-2")}
Case = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], str]
CASES: list[Case] = [
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
    ("gpu_loss", {"node": "standby/node-1", "layer": "process"}),
    ("gpu_slow", {"node": "primary/node-1", "delay_ms": 250.0}),
    ("model_corrupt", {"node": "primary/node-1"}),
    ("model_corrupt", {"node": "standby/node-1", "file": "items.json", "by": "restart"}),
    ("model_stale", {"region": "standby", "count": 2}),
    ("custom", {"inject": {"command": ["touch", MARK]}, "heal": {"command": ["rm", "-f", MARK]}, "check": CHECK}),
    ("noop", {}),
]


def named(case: Case) -> str:
    return f"{case[0]}-{shown(case[1])}".replace("/", ".")


def test_every_fault_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(FAULTS)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_its_blast_radius_names_places_that_there_are(case: Case) -> None:
    radius = FAULTS[case[0]](**case[1]).blast_radius(NODES)
    known = set(rules.places(Topology()))
    for place in radius.places:
        ends = place.replace(" and ", " to ").split(" to ")
        assert known.issuperset(ends), f"{place} is no place of a lab, nor a link between two"
    assert radius.text


@pytest.fixture(params=CASES, ids=named)
def fault(request: pytest.FixtureRequest) -> Iterator[Fault]:
    """The fault of a case; skipped where this kernel cannot do it, and with a load running where it needs one."""
    name, given, *skipped = request.param
    for why in (*skipped, *(LocalTarget.lacks(need) for need in needs_with(name, given))):
        if why:
            pytest.skip(why)
    request.getfixturevalue("current")
    if getattr(FAULTS[name], "needs_load", False):
        request.getfixturevalue("load")
    made = FAULTS[name](**given)
    yield made
    lab = request.getfixturevalue("lab")
    if not made.healed(lab).observed:  # one that breaks the contract shall not take the next one with it
        lab.reset()


@pytest.fixture
def current(lab: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first trial of a run in ``tmp_path`` with the lab as its target, as a fault's process finds it."""
    monkeypatch.setenv(TARGET_VARIABLE, str(lab.reference))
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    monkeypatch.setenv(TRIAL_VARIABLE, "1")


@pytest.fixture
def load(current: None, lab: LocalTarget, bundle_path: Path, tmp_path: Path) -> Iterator[None]:
    """A few users on the lab."""
    run, drill = RunDir(tmp_path), load_drill(ROOT / "experiments" / "load-surge.yaml")
    drill = replace(drill, load=Load(rate=50, users=15), probes=ProbeRates(reads_per_s=5, writes_per_s=0))
    for folder in (run.parts, run.logs):
        folder.mkdir()
    clients = Clients(run, drill, lab.deployment, Audience.of(Bundle.load(bundle_path), 5, 1), 1, 1)
    clients.start()
    try:
        deadline = time.monotonic() + 30
        while not clients.ready() and time.monotonic() < deadline:
            time.sleep(0.05)
        EventWriter(run.events, 1).write("load.started", rates=clients.rates, load_rps=clients.load_rps)
        yield
    finally:
        clients.stop()


class BrokeOff(Exception):  # noqa: N818 - what happens, not what is wrong
    """What a process meets in the middle of injecting."""


def breaking_off(fault: Fault, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``fault`` break off once it is in force, in a process that cannot heal it, if its intent was there before."""

    def then_break_off(do: Any, *given: Any) -> None:
        assert unhealed(run) == [Intent(fault.name, arguments(fault))], "the intent is on the disk before the effect"
        do(*given)
        raise BrokeOff

    def break_off(*given: Any) -> None:
        raise BrokeOff

    if isinstance(fault, Custom):  # what others do in methods are fields of this one
        call, injecting = Doing.__call__, fault.inject
        doing = {True: lambda *given: then_break_off(call, *given), False: break_off}
        monkeypatch.setattr(Doing, "__call__", lambda it, target: doing[it is injecting](it, target))
    else:
        inject = type(fault).inject
        monkeypatch.setattr(type(fault), "inject", lambda *given: then_break_off(inject, *given))
        monkeypatch.setattr(type(fault), "heal", break_off)


def effect_of(fault: Fault, lab: LocalTarget) -> Evidence:
    return wait_for(lambda: fault.took_effect(lab), getattr(fault, "effect_timeout_s", EFFECT_TIMEOUT_S))


def assert_unbroken(fault: Fault, lab: LocalTarget) -> None:
    """Seen by ``fault`` and by one that never saw anything broken."""
    seen = wait_for(lambda: fault.healed(lab), HEAL_TIMEOUT_S)
    assert seen.observed, seen.text
    another = FAULTS[fault.name](**arguments(fault))
    if isinstance(another, LooksFirst):
        another.look_first(lab)
    still = another.took_effect(lab)
    assert not still.observed, still.text


def test_a_fresh_process_heals_what_broke_off_half_way_and_heals_twice(
    lab: LocalTarget, fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also heals before it was ever injected, has an effect, and was written down before it had any."""
    fault.heal(lab)
    assert_unbroken(fault, lab)

    with monkeypatch.context() as patched:
        breaking_off(fault, tmp_path, patched)
        with pytest.raises(BrokeOff):
            base.inject(fault)
    try:
        effect = effect_of(fault, lab)
        assert effect.observed == (fault.name != "noop"), effect.text
    finally:
        script = f"from {type(fault).__module__} import heal; heal(**{arguments(fault)!r})"
        ran = subprocess.run([sys.executable, "-c", script], check=False, timeout=60, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 0, ran.stderr
    assert_unbroken(fault, lab)
    assert unhealed(tmp_path) == []
    (confirmed,) = (event for event in read_events(tmp_path / "events.jsonl") if event.kind == "heal.confirmed")
    assert confirmed.data["confirmed"] is True

    fault.heal(lab)
    assert_unbroken(fault, lab)


def test_the_lab_undoes_it_with_nobody_knowing_which_it_was(lab: LocalTarget, fault: Fault) -> None:
    """As the dead-man's switch does, ``recdr drill heal`` without a run, and every trial before it begins."""
    if not fault.needs:
        pytest.skip("it breaks nothing in the lab")
    if isinstance(fault, LooksFirst):
        fault.look_first(lab)
    try:
        fault.inject(lab)
        assert effect_of(fault, lab).observed
        lab.reset()
        assert (lab.status()["broken"], lab.status()["lost"]) == ([], [])
        if not getattr(fault, "needs_load", False):  # what it does to the load is no business of the lab's
            assert_unbroken(fault, lab)
    finally:
        fault.heal(lab)
