"""The undo log: what was meant is on the disk before it happens, and is open until healing was seen."""

from __future__ import annotations

from pathlib import Path

from drills.recording.record import read_events
from drills.undo import Intent, UndoLog, unhealed


def test_intent_is_open_until_healing_is_confirmed(tmp_path: Path) -> None:
    log = UndoLog(tmp_path, trial=2)
    log.intend("node_kill", {"node": "primary/node-1", "signal": "KILL"})
    log.intend("noop", {})
    assert unhealed(tmp_path) == [Intent("noop", {}), Intent("node_kill", {"node": "primary/node-1", "signal": "KILL"})]
    log.confirmed("noop", {}, False, "not seen")
    assert log.is_open("noop", {})
    log.confirmed("noop", {}, True, "seen")
    assert not log.is_open("noop", {})
    assert [intent.fault for intent in unhealed(tmp_path)] == ["node_kill"]


def test_the_same_fault_twice_is_open_again(tmp_path: Path) -> None:
    log = UndoLog(tmp_path)
    for _ in range(2):
        log.intend("region_loss", {"region": "primary"})
        log.confirmed("region_loss", {"region": "primary"}, True, "seen")
    log.intend("region_loss", {"region": "primary"})
    assert log.is_open("region_loss", {"region": "primary"})


def test_a_torn_last_line_does_not_hide_the_others(tmp_path: Path) -> None:
    UndoLog(tmp_path).intend("noop", {})
    with (tmp_path / "intent.jsonl").open("a") as file:
        file.write('{"do": "inj')
    assert unhealed(tmp_path) == [Intent("noop", {})]


def test_fault_events_carry_trial_and_times(tmp_path: Path) -> None:
    log = UndoLog(tmp_path, trial=3)
    log.injected("noop", {}, {"kind": "real"}, 10, 20)
    (event,) = read_events(tmp_path / "events.jsonl")
    assert (event.kind, event.t, event.trial, event.data["t_begin"]) == ("fault.injected", 20, 3, 10)


def test_nothing_was_ever_broken(tmp_path: Path) -> None:
    assert unhealed(tmp_path / "no-run") == []
