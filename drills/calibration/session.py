"""One session: the real prober on the scripted server, one outage after another, and the record of it all."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drills import processes
from drills.asking.service import Door
from drills.calibration import shop
from drills.calibration.books import SECOND, Edges
from drills.calibration.scripted import STARTED_WITHIN_S, Scripted, serving
from drills.calibration.shapes import QUALITY_INTERVAL_S, READ_INTERVAL_S, Shape
from drills.errors import TargetError
from drills.load.readback import read_back
from drills.recording.record import EventWriter, ReadBack
from drills.targets.base import REGION_HEADER, REGIONS, Deployment

RATES = {"probe_read": 1 / READ_INTERVAL_S, "probe_write": 1 / READ_INTERVAL_S, "quality": 1 / QUALITY_INTERVAL_S}
PROBER = ("-P", "-m", "drills.load.prober")
TIMEOUT_S = 2.0
ID_PREFIX = "calibration-P"
BEFORE_S = 0.35
"""Quiet before each outage: 10 answered probes must show that the service worked."""
START_S = 1.5
"""What starting the server and the prober takes; only the time left is told from it."""
_SLACK_S = 10.0


@dataclass(frozen=True)
class Performed:
    """One outage as it happened: probes due from ``start`` and before ``end`` (ns) are its trial's."""

    trial: int
    shape: Shape
    start: int
    edges: Edges
    end: int


@dataclass
class Session:
    """Runs outages against the prober ``argv``; everything it records lies in ``folder``."""

    folder: Path
    seed: int = 0
    argv: tuple[str, ...] = PROBER
    performed: list[Performed] = field(default_factory=list)
    rows: list[ReadBack] = field(default_factory=list)
    _server: Scripted = field(init=False, repr=False)
    _process: subprocess.Popen[bytes] = field(init=False, repr=False)
    _jitter: random.Random = field(init=False, repr=False)

    @property
    def books(self) -> Path:
        """The server's own books."""
        return self._server.books

    @property
    def part(self) -> Path:
        """What the prober recorded, as it wrote it."""
        return self.folder / "prober.part"

    @property
    def log(self) -> Path:
        """What the prober and the read-back reported of themselves (events)."""
        return self.folder / "session.jsonl"

    @contextlib.contextmanager
    def running(self) -> Iterator[Session]:
        """Within it outages can be performed; at its end the prober is stopped and the regions are read back.

        Raises TargetError where the prober or the server does not start or ends by itself.
        """
        self._jitter = random.Random(self.seed)  # noqa: S311 - no secret
        with serving(self.folder) as self._server:
            with self._prober():
                yield self
            events = EventWriter(self.log, 0)
            self.rows = read_back(_deployment(self._server.url), ID_PREFIX, 0, events)
            events.close()

    def perform(self, shape: Shape) -> Performed:
        """One outage with the quiet before and after it; returns what really happened and when."""
        start = time.monotonic_ns()
        time.sleep(BEFORE_S + self._jitter.uniform(0, QUALITY_INTERVAL_S))
        edges = self._server.perform(shape.script)
        time.sleep(max(0.0, (edges.end - time.monotonic_ns()) / SECOND + shape.after_s))
        if self._process.poll() is not None:
            raise TargetError(f"the prober ended by itself with {self._process.returncode}; see {self.folder}")
        done = Performed(len(self.performed) + 1, shape, start, edges, time.monotonic_ns())
        self.performed.append(done)
        return done

    @contextlib.contextmanager
    def _prober(self) -> Iterator[None]:
        fd = processes.memory_file("prober", self._config())
        try:
            argv = [*self.argv, f"/proc/self/fd/{fd}"]
            self._process = processes.start(argv, self.folder / "prober.log", fds=[fd])
        finally:
            os.close(fd)
        try:
            self._wait_for_records()
            yield
        finally:
            processes.stop(self._process, TIMEOUT_S + _SLACK_S)

    def _config(self) -> dict[str, Any]:
        return {
            "url": self._server.url,
            "out": str(self.part),
            "events": str(self.log),
            "id_prefix": ID_PREFIX,
            "rates": RATES,
            "timeout_s": TIMEOUT_S,
            "probe_users": shop.PROBE_USERS,
            "items": shop.ITEMS,
            "quality": shop.questions(),
            "k": shop.K,
        }

    def _wait_for_records(self) -> None:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not (self.part.exists() and self.part.stat().st_size):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TargetError(f"the prober recorded nothing; see {self.folder / 'prober.log'}")
            time.sleep(0.05)


def seconds_of(shape: Shape) -> float:
    """About how long (s) one outage takes with the quiet around it."""
    return BEFORE_S + QUALITY_INTERVAL_S / 2 + shape.acting_s + shape.after_s


def _deployment(url: str) -> Deployment:
    """The scripted server as read-back reaches it."""
    doors = {region: Door(url, {REGION_HEADER: region}) for region in REGIONS}
    return Deployment(kind="scripted", edge_url=url, doors=doors)
