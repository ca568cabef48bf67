"""One case from beginning to end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from drills.home import cache
from drills.processes import stopped
from drills.recording.record import read_events
from drills.targets.local.target import LocalTarget
from tests.chaos.case import Case, drill
from tests.chaos.scene import Scene, own
from tests.external.services import RECDR, running
from tests.promise.drilled import LEASE_S

MARGIN_S = 30.0
"""How much longer than a lease it may take until all is in order again: a lab's nodes take seconds to start."""
ENDS_S = 240.0
GIVES_UP_S = 150.0


@dataclass
class Result:
    """What was done to a run, how it ended, and what was left of it: nothing must be."""

    case: Case
    victim: str = ""
    code: int | None = None
    seconds: float = 0.0
    left: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        said = f"seed {self.case.seed}: {self.case.words}, of {self.victim or 'nobody: it had ended'}"
        end = f"exit {self.code} after {self.seconds:.0f} s"
        return f"{said}; {end}; " + ("NOTHING LEFT" if not self.left else "LEFT: " + "; ".join(self.left))


@dataclass
class Place:
    """A home of its own, in which the cases of one worker happen one after another, with at most one lab that is up."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "RECDR_HOME": str(self.home), "RECDR_CACHE": str(cache()), "NO_COLOR": "1"}

    def lab(self) -> LocalTarget:
        """The lab that is up, deployed if there is none."""
        reference = self.home / "lab" / "target.json"
        if not (reference.exists() and LocalTarget.attach(reference).alive()):
            up = [RECDR, "up", "--primary-nodes", "1", "--standby-nodes", "1", "--accelerator", "simulated"]
            subprocess.run(up, env=self.environment, check=True, capture_output=True, timeout=ENDS_S)
        return LocalTarget.attach(reference)

    def close(self) -> None:
        subprocess.run([RECDR, "down"], env=self.environment, check=False, capture_output=True, timeout=ENDS_S)


def perform(case: Case, place: Place) -> Result:
    """Run the case's drill, do to it what the case says, and look for what is left."""
    folder = place.home / f"case-{case.seed}"
    folder.mkdir(parents=True)
    standing = place.lab() if case.setting == "standing" else None
    begin = time.monotonic()
    with running("Honest") as port:
        scene = Scene(place.home, folder, place.home / f"mark-{case.seed}", port, standing)
        path = folder / "drill.yaml"
        path.write_text(yaml.safe_dump(drill(case, port, scene.mark), sort_keys=False))
        command = [RECDR, "drill", "run", str(path), "--seed", "7", "--out", str(folder / "runs")]
        command += ["--ephemeral"] if case.setting == "ephemeral" else []
        result = Result(case)
        with (folder / "said.log").open("w") as said:
            main = subprocess.Popen(command, env=place.environment, stdout=said, stderr=said, start_new_session=True)
        try:
            _wait_for(case, folder, main)
            result.victim = _hit(case, scene, main)
            result.left = _end(main)
        finally:
            with contextlib.suppress(ProcessLookupError):
                main.kill()
            main.wait()
        result.code, result.seconds = main.returncode, time.monotonic() - begin
        result.left += scene.left(LEASE_S + MARGIN_S)
        scene.close()
        result.left += _wrong(result, (folder / "said.log").read_text())
    return result


def _wait_for(case: Case, folder: Path, main: subprocess.Popen[bytes]) -> None:
    """Return at the moment of the case, or when the run has ended before."""
    deadline = time.monotonic() + GIVES_UP_S
    while case.moment and main.poll() is None and time.monotonic() < deadline:
        logs = list(folder.glob("runs/*/events.jsonl"))
        if logs and any(event.kind == case.moment and event.trial != 0 for event in read_events(logs[0])):
            break
        time.sleep(0.02)
    time.sleep(case.delay_s)


def _hit(case: Case, scene: Scene, main: subprocess.Popen[bytes]) -> str:
    """Signal one of the run's processes; returns which, empty where the run had ended."""
    if main.poll() is not None:
        return ""
    found = own(main.pid, scene.lab)
    scene.note(found.get("pid_one"))
    name = sorted(found)[int(case.pick * len(found))]
    for number, step in enumerate(case.signals):
        if number:
            time.sleep(case.pause_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[name], step)
    deadly = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}
    scene.ended = name in ("launcher", "pid_one") and not deadly.isdisjoint(case.signals)
    return name


def _end(main: subprocess.Popen[bytes]) -> list[str]:
    """Wait until the run has ended by itself."""
    try:
        main.wait(timeout=ENDS_S)
    except subprocess.TimeoutExpired:
        return [f"the run did not end ({'stopped' if stopped(main.pid) else 'hangs'})"]
    return []


def _wrong(result: Result, said: str) -> list[str]:
    """What a user must never see."""
    found = [f"it said: {line}" for line in said.splitlines() if "Traceback" in line or "bug in recdr" in line]
    return found + (["exit 70"] if result.code == 70 else [])
