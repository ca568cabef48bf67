"""Where a case happens: the processes that are recdr's own, and what must not be left of them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from drills.errors import TargetError
from drills.recording.rundir import RunDir
from drills.targets.base import REGIONS
from drills.targets.local.target import LocalTarget
from drills.undo import unhealed
from tests.external import rigged
from tests.processes import commands_in, commands_with

KINDS = {
    "drills.chaos": "experiment",
    "drills.load.prober": "prober",
    "locustfile.py": "locust",
    "drills.watchdog": "watchdog",
    "drills.targets.local.lab": "launcher",
}


def parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    return found


def own(main: int, lab: Path) -> dict[str, int]:
    """recdr's processes of a run that ``main`` runs, by what they do; ``lab``: the folder of the lab it is about."""
    found, parent = {"main": main}, parents()
    launchers = [pid for pid, above in parent.items() if above == main]
    if (lab / "target.json").exists():
        launchers.append(int(json.loads((lab / "target.json").read_text())["launcher"]))
    for pid in launchers:
        if kind := kind_of(pid):
            found[kind] = pid
    if launcher := found.get("launcher"):
        found.update(("pid_one", pid) for pid, above in parent.items() if above == launcher)
    return found


def kind_of(pid: int) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return None
    return next((kind for word, kind in KINDS.items() if word in command), None)


@dataclass
class Scene:
    """What one case may leave behind. ``standing``: the lab that was up before."""

    home: Path
    folder: Path
    mark: Path
    port: int
    standing: LocalTarget | None = None
    control: str = ""
    namespace: str = ""
    held: int = -1
    """A descriptor of that namespace: with it in hand, no other lab's is called the same."""
    ended: bool = False
    """The case killed the lab that was up: it must be gone, all of it."""

    @property
    def lab(self) -> Path:
        """The folder of the lab that the run is about, once there is one."""
        return self.home / "lab" if self.standing else next(self.folder.glob("runs/*/lab"), self.folder / "none")

    def note(self, pid_one: int | None) -> None:
        """Remember what the lab is called while it can still be asked."""
        if pid_one and (self.lab / "target.json").exists():
            self.control = str(json.loads((self.lab / "target.json").read_text())["control"])
            self.namespace = str(Path(f"/proc/{pid_one}/ns/pid").readlink())
            self.held = os.open(f"/proc/{pid_one}/ns/pid", os.O_RDONLY)

    def close(self) -> None:
        if self.held >= 0:
            os.close(self.held)

    def left(self, seconds: float) -> list[str]:
        """What is still there, or still broken, after at most ``seconds``; nothing if all is well."""
        deadline = time.monotonic() + seconds
        while (found := self._left()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _left(self) -> list[str]:
        found = [f"process: {command[:120]}" for command in commands_with(str(self.folder))]
        found += [f"mount: {line[:120]}" for line in _lines("/proc/self/mounts") if str(self.folder) in line]
        sockets = Path("/proc/net/unix").read_text()
        edge = f"127.0.0.1:{self.port}"
        names = [f"recdr-drill-{hashlib.sha256(edge.encode()).hexdigest()[:32]}"]
        if self.standing is None or self.ended:
            found += [f"in the lab's namespace: {name}" for name in commands_in(self.namespace) if self.namespace]
            names += [self.control] if self.control else []
        found += [f"socket: {name}" for name in names if f"@{name}" in sockets]
        found += [f"open run: {entry.name}" for entry in (self.home / "open-runs").glob("*") if self._ours(entry)]
        for path in self.folder.glob("runs/*"):
            found += [f"unhealed: {intent.fault}" for intent in unhealed(path)]
            found += ["the reserve of a run"] if RunDir(path).reserve.exists() else []
        found += ["the host is still broken"] if self.mark.exists() else []
        found += ["the service is still broken"] if rigged.control(self.port, "is-lost") == "lost" else []
        return found + self._broken()

    def _ours(self, entry: Path) -> bool:
        return str(self.folder) in entry.read_text()

    def _broken(self) -> list[str]:
        """What is wrong with the lab that was up."""
        if self.standing is None:
            return []
        if self.ended:
            return ["the lab still answers"] if self.standing.alive() else []
        try:
            state = self.standing.status()
        except TargetError as error:
            return [f"the lab: {error}"]
        found = [f"{what}: {state[what]}" for what in ("lost", "cuts", "broken", "unhealed") if state[what]]
        found += [f"{name} does not run" for name, runs in state["processes"].items() if not runs]
        for node in (node for region in REGIONS for node in self.standing.nodes_of(region)):
            seen = self.standing.observe(node) or {}
            if not seen.get("ready") or seen.get("accelerator_state") != "ok":
                found.append(f"{node} is not ready or degraded: {seen}")
        try:
            answer = httpx.post(f"{self.standing.deployment.edge_url}/v1/recommend", json={"user": "1", "k": 5})
        except httpx.HTTPError as error:
            return [*found, f"the edge: {error}"]
        return found if answer.status_code == 200 else [*found, f"the edge answers {answer.status_code}"]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
