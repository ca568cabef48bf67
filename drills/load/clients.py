"""The clients of a trial: Locust's users, the open-loop probes and the quality probe, as child processes."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from drills import processes, surge
from drills.errors import TargetError
from drills.load.audience import Audience
from drills.load.probes import able
from drills.processes import Frozen
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.targets.base import Deployment

__all__ = ["Audience", "Clients"]

STOP_S = 8.0
PROBE_USERS = 50
K = 20
PATIENCE_S = 5.0
"""Users who come less often than this are not waited for."""


@dataclass
class Silent:
    """Notices that nothing is written any more to a clients' file, into which something comes all the time."""

    part: Path
    patience_s: float
    _size: int = -1
    _since: float = 0.0

    def for_too_long(self) -> str | None:
        """Why one cannot rely on its writer; None where it wrote something within its patience."""
        size, now = self.part.stat().st_size if self.part.exists() else 0, time.monotonic()
        if size != self._size or not size:  # a client that has not begun yet is waited for elsewhere
            self._size, self._since = size, now
        if now - self._since < self.patience_s:
            return None
        return f"nothing was written to {self.part.name} for {self.patience_s:.0f} s: its writer hangs or cannot write"


@dataclass
class Clients:
    """The client processes of one trial; trial 0 is the baseline."""

    run: RunDir
    drill: Drill
    deployment: Deployment
    audience: Audience
    trial: int
    seed: int
    _prober: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _load: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)
    _frozen: list[Frozen] = field(default_factory=list, init=False)
    _silent: list[Silent] = field(default_factory=list, init=False)

    @property
    def id_prefix(self) -> str:
        """What every event id of this trial begins with."""
        return f"{self.run.token}-{self.trial}"

    @property
    def rates(self) -> dict[str, float]:
        """What the prober sends, in requests a second and stream; 0 for what the service lacks."""
        probes, audience = self.drill.probes, self.audience
        can = able(self.deployment.service, audience.shoppers, audience.items, audience.evaluation)
        rates = {"probe_read": probes.reads_per_s, "probe_write": probes.writes_per_s, "quality": probes.quality_per_s}
        return {stream: rate if can[stream] else 0.0 for stream, rate in rates.items()}

    @property
    def mix(self) -> dict[str, float]:
        """What the users do, in shares that sum to 1: what the service lacks they ask for recommendations instead."""
        mix, service, audience = self.drill.load.mix, self.deployment.service, self.audience
        shares = {"recommend": mix.recommend, "search": mix.search, "event": mix.event}
        searches = service.search is not None and (bool(audience.queries) or "query" not in service.search.names)
        writes = able(service, audience.shoppers, audience.items, ())["probe_write"]
        for op, there in (("search", searches), ("event", writes)):
            if not there:
                shares["recommend"] += shares.pop(op)
        return shares

    @property
    def workers(self) -> int:
        """How many processes the load comes from: none without load, and none without a user."""
        load = self.drill.load
        return min(load.workers, load.users) if load.rate > 0 else 0

    @property
    def load_rps(self) -> float:
        """What all users together ask for a second, unless a surge multiplies it."""
        return self.drill.load.rate if self.workers else 0.0

    def parts(self) -> list[Path]:
        """Where the clients write what they see; the prober's comes first."""
        names = ["prober", *(f"load-{worker}" for worker in range(self.workers))]
        return [self.run.parts / f"{self.trial}-{who}.part" for who in names]

    def start(self) -> None:
        """Start the users and the probes; both run until ``stop``. A surge that an earlier trial left is over."""
        surge.path(self.run.path).unlink(missing_ok=True)
        for worker in range(self.workers):
            self._load.append(self._start_locust(worker))
        self._prober = self._start_prober()
        self._frozen = [Frozen(process.pid, self._name(process)) for process in self._processes()]
        load, often = self.drill.load, max(self.rates.values())
        gaps_s = [1 / often if often else None] + [load.users / load.rate for _ in range(self.workers)]
        patience_s = 2 * self.drill.probes.timeout_s + PATIENCE_S
        self._silent = [
            Silent(part, gap_s + patience_s)
            for part, gap_s in zip(self.parts(), gaps_s, strict=True)
            if gap_s is not None
        ]

    def ready(self) -> bool:
        """Whether every client process has written down its first request; of rare ones, whether it is there."""
        load = self.drill.load
        rare = [not any(self.rates.values())] + [load.users > PATIENCE_S * load.rate] * self.workers
        return all(
            part.exists() and (few or part.stat().st_size > 0) for part, few in zip(self.parts(), rare, strict=True)
        )

    def check(self) -> None:
        """Raise TargetError if a client process ended by itself, was stopped or hangs: then nothing is measured."""
        for process in self._processes():
            if process.poll() is not None:
                raise TargetError(
                    f"{self._name(process)} ended by itself with {process.returncode}; see {self.run.logs}"
                )
        doubtful: list[Frozen | Silent] = [*self._frozen, *self._silent]
        for one in doubtful:
            if reason := one.for_too_long():
                raise TargetError(f"{reason}; see {self.run.logs}")

    def _name(self, process: subprocess.Popen[bytes]) -> str:
        return "the prober" if process is self._prober else "Locust"

    def stop(self) -> None:
        """Stop sending, wait for what is in flight, and have everything written down; idempotent."""
        running = [process for process in self._processes() if process.poll() is None]
        processes.stop_all(running, STOP_S + self.drill.probes.timeout_s)

    def _processes(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in (self._prober, *self._load) if process is not None]

    def _start_prober(self) -> subprocess.Popen[bytes]:
        probes = self.drill.probes
        config = {
            "url": self.deployment.edge_url,
            "service": self._service(),
            "trial": self.trial,
            "out": str(self.parts()[0]),
            "events": str(self.run.events),
            "id_prefix": f"{self.id_prefix}-P",
            "rates": self.rates,
            "timeout_s": probes.timeout_s,
            "probe_users": self.audience.shoppers[:PROBE_USERS],
            "items": self.audience.items,
            "quality": self.audience.evaluation,
            "k": K,
            "duration_s": None,
        }
        fd = processes.memory_file("prober", config)
        try:
            argv = ["-P", "-m", "drills.load.prober", f"/proc/self/fd/{fd}"]
            return processes.start(argv, self.run.logs / "prober.log", fds=[fd])
        finally:
            os.close(fd)

    def _start_locust(self, worker: int) -> subprocess.Popen[bytes]:
        """One process of users: its share of the rate is its share of the users."""
        load = self.drill.load
        users = load.users // self.workers + (worker < load.users % self.workers)
        config = {
            "url": self.deployment.edge_url,
            "service": self._service(),
            "rate": load.rate * users / load.users,
            "users": users,
            "mix": self.mix,
            "trial": self.trial,
            "out": str(self.parts()[1 + worker]),
            "surges": str(surge.path(self.run.path)),
            "id_prefix": f"{self.id_prefix}-L{worker}",
            "timeout_s": self.drill.probes.timeout_s,
            "shoppers": self.audience.shoppers,
            "items": self.audience.items,
            "queries": self.audience.queries,
            "seed": (self.seed + self.trial) * 64 + worker,
            "k": K,
        }
        fd = processes.memory_file("locust", config)
        locustfile = Path(__file__).with_name("locustfile.py")
        argv = ["-P", "-m", "locust", "-f", str(locustfile), "--headless", "--only-summary", "--skip-log-setup"]
        argv += ["-u", str(users), "-r", str(users), "--host", self.deployment.edge_url]
        argv += ["--stop-timeout", str(int(self.drill.probes.timeout_s) + 1)]
        try:
            environment = {"RECDR_LOAD_CONFIG": f"/proc/self/fd/{fd}"}
            return processes.start(argv, self.run.logs / "locust.log", environment=environment, fds=[fd])
        finally:
            os.close(fd)

    def _service(self) -> Any:
        """How the service is asked, as JSON; secrets are not in it, only the names of their variables."""
        return msgspec.to_builtins(self.deployment.service)
