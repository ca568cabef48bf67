"""The clients of a trial: Locust's users, the open-loop probes and the quality probe, as child processes."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drills import processes
from drills.errors import TargetError
from drills.rundir import RunDir
from drills.spec import Drill
from drills.targets.base import Deployment
from recsvc.bundle import Bundle

LOCUST_STOP_S = 8.0


@dataclass(frozen=True)
class Audience:
    """Who asks for what: evaluation users are only ever read, so nothing a drill does changes their right answers."""

    evaluation: list[dict[str, Any]]
    shoppers: list[str]
    items: list[str]
    queries: list[str]

    @classmethod
    def of(cls, bundle: Bundle, evaluation_users: int, seed: int) -> Audience:
        """A seeded sample of held-out users for the quality probe; everybody else goes shopping."""
        held_out = bundle.evaluation
        chosen = random.Random(seed).sample(held_out.users, min(evaluation_users, len(held_out.users)))  # noqa: S311
        evaluation = [
            {"id": f"q{i}", "user": user, "expected": list(held_out.expected[user])} for i, user in enumerate(chosen)
        ]
        titles = (word for item in bundle.items for word in item.title.lower().split())
        queries = sorted({word for word in titles if len(word) > 3 and word.isalpha()})
        shoppers = sorted(set(bundle.histories) - set(chosen))
        return cls(evaluation, shoppers, [item.id for item in bundle.items], queries)


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
    _locust: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def id_prefix(self) -> str:
        """What every event id of this trial begins with."""
        return f"{self.run.token}-{self.trial}"

    @property
    def rates(self) -> dict[str, float]:
        """What the prober sends, in requests a second and stream."""
        probes = self.drill.probes
        return {
            "probe_read": probes.reads_per_s,
            "probe_write": probes.writes_per_s,
            "quality": probes.quality_per_s,
        }

    def parts(self) -> list[Path]:
        """Where the clients write what they see."""
        return [self.run.parts / f"{self.trial}-{who}.part" for who in ("prober", "load")]

    def start(self) -> None:
        """Start the users and the probes; both run until ``stop``."""
        if self.drill.load.rate > 0:
            self._locust = self._start_locust()
        self._prober = self._start_prober()

    def check(self) -> None:
        """Raise TargetError if a client process ended by itself: without clients nothing is measured."""
        for name, process in (("the prober", self._prober), ("Locust", self._locust)):
            if process is not None and process.poll() is not None:
                raise TargetError(f"{name} ended by itself with {process.returncode}; see {self.run.logs}")

    def stop(self) -> None:
        """Stop sending, wait for what is in flight, and have everything written down; idempotent."""
        for process in (self._prober, self._locust):
            if process is not None and process.poll() is None:
                processes.stop(process, LOCUST_STOP_S + self.drill.probes.timeout_s)

    def _start_prober(self) -> subprocess.Popen[bytes]:
        probes = self.drill.probes
        config = {
            "url": self.deployment.edge_url,
            "headers": {},
            "trial": self.trial,
            "out": str(self.parts()[0]),
            "events": str(self.run.events),
            "id_prefix": f"{self.id_prefix}-P",
            "rates": self.rates,
            "timeout_s": probes.timeout_s,
            "probe_users": self.audience.shoppers[:50],
            "items": self.audience.items,
            "quality": self.audience.evaluation,
            "k": 20,
            "duration_s": None,
        }
        fd = processes.memory_file("prober", config)
        try:
            argv = ["-P", "-m", "drills.load.prober", f"/proc/self/fd/{fd}"]
            return processes.start(argv, self.run.logs / "prober.log", fds=[fd])
        finally:
            os.close(fd)

    def _start_locust(self) -> subprocess.Popen[bytes]:
        load = self.drill.load
        config = {
            "rate": load.rate,
            "users": load.users,
            "mix": {"recommend": load.mix.recommend, "search": load.mix.search, "event": load.mix.event},
            "trial": self.trial,
            "out": str(self.parts()[1]),
            "id_prefix": self.id_prefix,
            "timeout_s": self.drill.probes.timeout_s,
            "shoppers": self.audience.shoppers,
            "items": self.audience.items,
            "queries": self.audience.queries,
            "seed": self.seed + self.trial,
        }
        fd = processes.memory_file("locust", config)
        locustfile = Path(__file__).with_name("locustfile.py")
        argv = [
            "-P",
            "-m",
            "locust",
            "-f",
            str(locustfile),
            "--headless",
            "--only-summary",
            "--skip-log-setup",
        ]
        argv += ["-u", str(load.users), "-r", str(load.users), "--host", self.deployment.edge_url]
        argv += ["--stop-timeout", str(int(self.drill.probes.timeout_s) + 1)]
        try:
            environment = {"RECDR_LOAD_CONFIG": f"/proc/self/fd/{fd}"}
            return processes.start(argv, self.run.logs / "locust.log", environment=environment, fds=[fd])
        finally:
            os.close(fd)
