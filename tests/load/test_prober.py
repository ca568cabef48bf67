"""The prober against a real server: what it sends, when, and what it does when held up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from drills.calibration import books
from drills.calibration.books import Served, Stretch
from drills.calibration.scripted import serving
from drills.load.probes import Config, schedules
from drills.recording.record import Request, read_events, read_part

QUALITY = [{"id": f"q{n}", "user": str(n), "expected": [f"{n}-left-0", "9"]} for n in range(5)]


@contextmanager
def probing(folder: Path, url: str, **changed: Any) -> Iterator[subprocess.Popen[bytes]]:
    config = {
        "url": url,
        "out": str(folder / "requests.part"),
        "events": str(folder / "events.jsonl"),
        "trial": 3,
        "id_prefix": "run-3",
        "headers": {"X-Recdr-Region": "primary"},
        "probe_users": ["7", "8"],
        "items": ["1", "2"],
        "quality": QUALITY,
    } | changed
    path = folder / "prober.json"
    path.write_text(json.dumps(config))
    process = subprocess.Popen([sys.executable, "-m", "drills.load.prober", str(path)], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def recorded(folder: Path) -> list[Request]:
    return list(read_part(folder / "requests.part"))


def wait_for(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 15
    while len(recorded(folder)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0


def test_every_slot_is_sent_once_and_recorded(tmp_path: Path) -> None:
    with serving(tmp_path) as server, probing(tmp_path, server.url, duration_s=1.0) as process:
        assert process.wait(timeout=15) == 0
    rows = recorded(tmp_path)
    assert Counter(r.stream for r in rows) == {"probe_read": 51, "probe_write": 50, "quality": 20}
    for stream, interval in (
        ("probe_read", 20_000_000),
        ("probe_write", 20_000_000),
        ("quality", 50_000_000),
    ):
        due = sorted(r.t_scheduled for r in rows if r.stream == stream)
        assert {b - a for a, b in pairwise(due)} == {interval}
    assert len({r.t_scheduled for r in rows}) == len(rows), "the streams must not fall on the same moment"
    assert sorted(int(r.id.split("-")[-1]) for r in rows if r.stream == "probe_write" and r.id) == list(range(50))
    first = next(r for r in rows if r.stream == "quality")
    assert (first.trial, first.status, first.region, first.node) == (3, 200, "primary", "primary/node-1")
    assert (first.model_version, first.degraded, first.hits, first.expected) == ("scripted", False, 1, 2)
    served = [entry for entry in books.read(server.books) if isinstance(entry, Served)]
    assert {f"run-3-{n}" for n in range(50)} == {s.id for s in served if s.stream == "probe_write"}
    assert {"7", "8"} <= {s.id for s in served if s.stream == "probe_read"}
    started, stopped = read_events(tmp_path / "events.jsonl")
    assert (started.kind, stopped.kind, started.trial) == ("prober.started", "prober.stopped", 3)
    assert started.data["rates"] == {"probe_read": 50, "probe_write": 50, "quality": 20}


def test_one_pass_over_the_evaluation_users(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as server,
        probing(tmp_path, server.url, passes=1, rates={"quality": 50}) as process,
    ):
        assert process.wait(timeout=15) == 0
    assert [(r.stream, r.id, r.hits) for r in recorded(tmp_path)] == [("quality", f"q{n}", 1) for n in range(5)]


def test_a_hanging_server_does_not_slow_it_down(tmp_path: Path) -> None:
    with serving(tmp_path) as server, probing(tmp_path, server.url, timeout_s=0.5) as process:
        wait_for(tmp_path, 50)
        dark = server.perform([Stretch("drops", 1.0)])
        time.sleep(0.3)
        stop(process)
    rows = recorded(tmp_path)
    in_the_dark = [r for r in rows if dark.begin + 5_000_000 < r.t_scheduled < dark.end - 50_000_000]
    assert len(in_the_dark) == pytest.approx(113, abs=3)
    assert {(r.status, r.error) for r in in_the_dark} == {(0, "timeout")}
    assert all(r.t_done - r.t_sent >= 490_000_000 for r in in_the_dark)


def test_nobody_there_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        url = server.url
    with probing(tmp_path, url, duration_s=0.2) as process:
        assert process.wait(timeout=15) == 0
    assert {(r.status, r.error) for r in recorded(tmp_path)} == {(0, "refused")}


def test_a_frozen_prober_shows_as_lateness(tmp_path: Path) -> None:
    with serving(tmp_path) as server, probing(tmp_path, server.url) as process:
        wait_for(tmp_path, 50)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.5)
        stop(process)
    rows = recorded(tmp_path)
    due = sorted(r.t_scheduled for r in rows if r.stream == "probe_read")
    assert {b - a for a, b in pairwise(due)} == {20_000_000}, "no slot may be missing"
    unsent = [r for r in rows if r.error == "not_sent"]
    late = [r for r in rows if r.error is None and r.t_sent - r.t_scheduled > 500_000_000]
    assert len(unsent) == pytest.approx(120, abs=20)
    assert len(late) > 100
    assert max(r.t_sent - r.t_scheduled for r in unsent) > 2_900_000_000


def test_stopping_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    with serving(tmp_path) as server, probing(tmp_path, server.url) as process:
        wait_for(tmp_path, 20)
        darkness = threading.Thread(target=server.perform, args=([Stretch("holds", 1.0)],))
        darkness.start()
        time.sleep(0.4)
        stop(process)
        darkness.join()
    [stopped] = [e for e in read_events(tmp_path / "events.jsonl") if e.kind == "prober.stopped"]
    rows = recorded(tmp_path)
    awaited = [r for r in rows if r.t_done > stopped.t]
    assert len(awaited) > 20
    assert {r.status for r in awaited} == {200}
    assert 0 <= stopped.t - max(r.t_scheduled for r in rows) < 60_000_000


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        config = {"url": server.url, "out": str(tmp_path / "requests.part"), "probe_users": ["1"]}
        (tmp_path / "c.json").write_text(json.dumps(config))
        parent = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import subprocess, sys, time\n"
                f"c = {str(tmp_path / 'c.json')!r}\n"
                "p = subprocess.Popen([sys.executable, '-m', 'drills.load.prober', c])\n"
                "print(p.pid, flush=True)\ntime.sleep(60)",
            ],
            stdout=subprocess.PIPE,
        )
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_for(tmp_path, 20)
        parent.kill()
        parent.communicate()
        deadline = time.monotonic() + 5
        while running(child):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_wrong_configuration_is_refused(tmp_path: Path) -> None:
    with probing(tmp_path, "http://127.0.0.1:1", speed=3) as process:
        assert process.wait(timeout=15) == 2
        assert process.stderr is not None
        assert b"unknown field `speed`" in process.stderr.read()


def test_streams_without_anything_to_ask_are_off() -> None:
    assert schedules(Config(url="http://x", out="x"), 0) == []
    assert len(schedules(Config(url="http://x", out="x", probe_users=["1"], rates={"probe_read": 0}), 0)) == 0
