"""A server goes dark for exactly 2.000 s; the real prober, recorder and measure must say 2 s."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drills import record, timeline
from drills.measures import measure_trial
from drills.timeline import Timeline
from tests.load.scripted_server import Manner, ScriptedServer

DARK_S = 2.0
INTERVAL_S = 1 / 50


def drill(server: ScriptedServer, folder: Path) -> Timeline:
    """One trial in miniature: probes, a fault that is the darkness itself, and the timeline of it."""
    events = record.EventWriter(folder / "events.jsonl", trial=1)
    config = folder / "prober.json"
    settings = {
        "url": server.url,
        "out": str(folder / "requests.part"),
        "events": str(folder / "events.jsonl"),
        "trial": 1,
        "id_prefix": "run-1",
        "probe_users": ["1", "2"],
        "items": ["1"],
    }
    config.write_text(json.dumps(settings))
    events.write("trial.started")
    prober = subprocess.Popen([sys.executable, "-m", "drills.load.prober", str(config)])
    try:
        wait_for_records(folder / "requests.part", 100)
        server.go_dark(DARK_S)
        dark = server.dark_from
        events.write("fault.injected", t=dark, fault="dark", arguments={}, t_begin=dark, t_ack=dark)
        time.sleep(2.7)
        events.write("load.stopped")
        prober.send_signal(signal.SIGTERM)
        assert prober.wait(timeout=4) == 0
    finally:
        prober.kill()
        prober.wait()
        events.close()
    record.write_requests(folder / "requests.parquet", [folder / "requests.part"])
    return timeline.read(folder).of_trial(1)


def exactly_dark(manner: Manner, folder: Path) -> tuple[Timeline, ScriptedServer]:
    """Drill until the server was dark for 2.000 s: on a busy machine its own thread may be woken too late."""
    for attempt in range(5):
        (folder / str(attempt)).mkdir()
        with ScriptedServer(manner) as server:
            seen = drill(server, folder / str(attempt))
        if server.dark_to - server.dark_from < (DARK_S + 0.001) * 1e9:
            return seen, server
    raise AssertionError("this machine is too busy to keep a server dark for exactly 2.000 s")


def lateness_at_the_return_s(seen: Timeline, back: int) -> float:
    """How far behind schedule the prober was at the server's return; 0 with a core to spare."""
    around = [r for r in seen.requests if abs(r.t_scheduled - back) < 50_000_000]
    late_s = max(r.t_sent - r.t_scheduled for r in around) / 1e9
    return late_s if late_s > 0.005 else 0.0


def wait_for_records(part: Path, count: int, within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while sum(1 for _ in record.read_part(part)) < count:
        assert time.monotonic() < deadline, "the prober did not start"
        time.sleep(0.05)


@pytest.mark.parametrize("manner", ["holds", "drops", "refuses"])
def test_two_seconds_of_darkness_read_as_two_seconds(manner: Manner, tmp_path: Path) -> None:
    timeline, server = exactly_dark(manner, tmp_path)
    dark_s = (server.dark_to - server.dark_from) / 1e9
    late_s = lateness_at_the_return_s(timeline, server.dark_to)
    for name in ("rto_read_s", "rto_write_s"):
        measure = measure_trial(timeline)[name]
        assert measure.value == pytest.approx(dark_s, abs=INTERVAL_S + late_s), measure
        assert measure.resolution == pytest.approx(INTERVAL_S)
        assert measure.interval is not None
        assert measure.interval[0] <= dark_s <= measure.interval[1]
        assert not measure.censored
