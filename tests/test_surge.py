"""A surge: what the load is told, and what the record must show before it counts as seen."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from drills import surge
from drills.errors import UsageError
from drills.faults.base import arguments
from drills.faults.capacity import Capacity
from drills.faults.load_surge import LoadSurge
from drills.recording.record import EventWriter, Request, RequestWriter
from drills.surge import Load
from drills.undo import RUN_VARIABLE, TRIAL_VARIABLE


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose first trial has a load of 50 requests a second."""
    (tmp_path / "parts").mkdir()
    EventWriter(tmp_path / "events.jsonl", 1).write("load.started", rates={}, users=20, load_rps=50.0)
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    monkeypatch.setenv(TRIAL_VARIABLE, "1")
    return tmp_path


def sent(run: Path, rate: float) -> None:
    """Write down that the users sent ``rate`` requests a second for the last two seconds."""
    (run / "parts" / "1-load-0.part").unlink(missing_ok=True)
    writer, now = RequestWriter(run / "parts" / "1-load-0.part"), time.monotonic_ns()
    for n in range(round(2 * rate)):
        t = now - 2_000_000_000 + round(n / rate * 1e9)
        common: dict[str, Any] = {"t_scheduled": t, "t_sent": t, "t_done": t + 1_000_000}
        writer.write(Request(trial=1, stream="load", op="recommend", status=200, **common))
    writer.close()


def test_no_file_is_no_surge_and_neither_is_nonsense(tmp_path: Path) -> None:
    assert surge.factor(surge.path(tmp_path)) == 1.0
    surge.path(tmp_path).write_text('{"factor": "many"}')
    assert surge.factor(surge.path(tmp_path)) == 1.0


def test_surges_multiply_and_end_one_by_one(tmp_path: Path) -> None:
    surge.begin(tmp_path, "a", 2.0)
    surge.begin(tmp_path, "b", 3.0)
    surge.begin(tmp_path, "b", 3.0)
    assert surge.factor(surge.path(tmp_path)) == json.loads(surge.path(tmp_path).read_text())["factor"] == 6.0
    surge.end(tmp_path, "a")
    surge.end(tmp_path, "a")
    assert surge.factor(surge.path(tmp_path)) == 3.0
    surge.end(tmp_path, "b")
    assert list(tmp_path.iterdir()) == []


def test_a_surge_ends_by_itself(tmp_path: Path) -> None:
    surge.begin(tmp_path, "a", 2.0, until_ns=time.monotonic_ns() - 1)
    assert surge.factor(surge.path(tmp_path)) == 1.0


def test_it_counts_as_seen_only_when_the_users_sent_that_much(run: Path) -> None:
    fault = LoadSurge(factor=3)
    fault.recall(fault.look_first(None))
    fault.inject(None)
    sent(run, 50)
    assert not fault.took_effect(None).observed
    sent(run, 150)
    assert fault.took_effect(None).observed
    fault.heal(None)
    assert not fault.healed(None).observed
    sent(run, 50)
    assert fault.healed(None).observed


def test_a_second_surge_must_add_to_the_first(run: Path) -> None:
    first, second = LoadSurge(factor=2), LoadSurge(factor=3)
    first.inject(None)
    second.inject(None)
    sent(run, 150)
    assert not second.took_effect(None).observed, "that is the second without the first"
    sent(run, 300)
    assert second.took_effect(None).observed


def test_whoever_heals_needs_no_environment(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = LoadSurge(factor=2).look_first(None)
    LoadSurge(factor=2).inject(None)
    monkeypatch.delenv(RUN_VARIABLE)
    elsewhere = LoadSurge(factor=2.0)
    elsewhere.recall(noted)
    elsewhere.heal(None)
    assert surge.factor(surge.path(run)) == 1.0
    LoadSurge(factor=2).heal(None)  # where nobody knows of a run, there is nothing to undo
    assert LoadSurge(factor=2).healed(None).observed


@pytest.mark.parametrize("fault", [LoadSurge(factor=2), Capacity()])
def test_without_a_load_it_is_refused(fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="a plain 'chaos run' has no load"):
        fault.look_first(None)
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    monkeypatch.setenv(TRIAL_VARIABLE, "1")
    events = EventWriter(tmp_path / "events.jsonl", 1)
    events.write("load.started", rates={}, users=20, load_rps=50.0)
    events.write("load.stopped")
    with pytest.raises(UsageError):
        fault.look_first(None)
    assert Load.of(tmp_path, 1) is None


def test_two_and_two_point_nought_are_the_same_surge() -> None:
    assert arguments(LoadSurge(factor=2)) == arguments(LoadSurge(factor=2.0))
    assert json.dumps(arguments(LoadSurge(factor=2))) == json.dumps(arguments(LoadSurge(factor=2.0)))
