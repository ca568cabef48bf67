"""A short drill of a cheap service, started as users start it, to be interrupted in the middle of its fault."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from drills.processes import stopped
from drills.recording.record import Event, read_events
from drills.undo import unhealed
from tests.external import rigged
from tests.external.services import RECDR, drill_for, running
from tests.processes import commands_with, eventually_empty, pids_with

LEASE_S = 3.0


@dataclass
class Drilled:
    """A drill that is running on the service at ``port``."""

    process: subprocess.Popen[str]
    folder: Path
    port: int

    @property
    def run(self) -> Path:
        return next((self.folder / "runs").iterdir())

    def events(self, kind: str) -> list[Event]:
        return [event for event in read_events(self.run / "events.jsonl") if event.kind == kind]

    def is_lost(self) -> bool:
        """Whether the service is as the fault makes it: asked of the service, not of recdr."""
        return rigged.control(self.port, "is-lost") == "lost"

    def child(self, *words: str) -> int:
        """The process that the drill started, by what stands in its command line."""
        for pid in pids_with(*words):
            stat = Path(f"/proc/{pid}/stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == self.process.pid:
                return pid
        raise AssertionError(f"no process with {words}")

    def ended(self, seconds: float = 90.0) -> str:
        """What it said on stderr, once it has ended."""
        return self.process.communicate(timeout=seconds)[1]

    def verdict(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "verdict.json").read_text())
        return found

    def report(self) -> str:
        return (self.run / "report.html").read_text()

    def left(self) -> list[str]:
        """Everything that must not be there any more, in words."""
        found = eventually_empty(lambda: commands_with(str(self.folder)), LEASE_S + 15)
        found += [f"unhealed: {intent}" for intent in unhealed(self.run)]
        return found + (["the service is still lost"] if self.is_lost() else [])


def eventually(look: Callable[[], object], seconds: float) -> bool:
    """Whether ``look`` finds something within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(found)


def short(port: int) -> dict[str, Any]:
    """Two seconds of everything but the fault, which would last for half a minute if nobody ended it."""
    drill = drill_for(port, "Shop")
    recdr = drill["extensions"][0]
    recdr["guard"] = {"max_duration_s": 60, "lease_s": LEASE_S}
    recdr |= {"settle_s": 1, "tail_s": 1, "objectives": {"availability": {"min": 0.01}}}
    recdr["probes"] = {"evaluation_users": 4, "quality_per_s": 4, "reads_per_s": 10, "writes_per_s": 10}
    drill["method"][0]["pauses"] = {"after": 30}
    return drill


@contextmanager
def drilling(
    folder: Path,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    *,
    until: str = "fault.effect",
    out: Path | None = None,
    **popen: Any,
) -> Iterator[Drilled]:
    """A drill from the moment that an event of the kind ``until`` is on record; killed at the end if it still runs."""
    with running("Honest") as port:
        drill = short(port)
        change(drill)
        path = folder / "drill.yaml"
        path.write_text(yaml.safe_dump(drill, sort_keys=False))
        environment = {**os.environ, "RECDR_HOME": str(folder / "home"), "NO_COLOR": "1"}
        runs = out or folder / "runs"
        if out:
            (folder / "runs").symlink_to(out)
        command = [RECDR, "drill", "run", str(path), "--json", "--seed", "7", "--out", str(runs)]
        popen = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **popen}
        process = subprocess.Popen(command, env=environment, **popen)
        drilled = Drilled(process, folder, port)
        try:
            assert eventually(
                lambda: runs.is_dir() and list(runs.glob("*/events.jsonl")) and drilled.events(until), 90
            ), process.poll()
            yield drilled
        finally:
            if stopped(process.pid):
                process.send_signal(18)
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
