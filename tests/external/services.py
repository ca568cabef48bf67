"""Rigged services that run beside the tests, and drills written for them."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.external import rigged

RECDR = str(Path(sys.executable).with_name("recdr"))
TIMEOUT_S = 150
SEED = "55"  # with it the fault strikes just after ``settle_s``, not up to a second later
COMMAND = [sys.executable, str(Path(rigged.__file__))]


def free_ports(count: int) -> int:
    """The first of ``count`` ports in a row that nobody listens on, below those that the kernel hands out."""
    while True:
        first = random.randrange(20_000, 30_000, 10)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    server = stack.enter_context(socket.socket())
                    server.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first


@contextlib.contextmanager
def running(rig: str) -> Iterator[int]:
    """The rigged service, up; its edge's port."""
    port = free_ports(3)
    with subprocess.Popen([*COMMAND, "serve", rig, str(port)]) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.kill()


def drill_for(port: int, name: str) -> dict[str, Any]:
    """A short drill of the service at ``port``: its primary is lost for 3 s. All of it may be changed."""
    told = {what: {"command": [*COMMAND, what, str(port)], "timeout_s": 10} for what in ("lose", "restore", "is-lost")}
    fault = {"inject": told["lose"], "heal": told["restore"], "check": told["is-lost"], "what": "the primary is lost"}
    return {
        "title": f"{name} survives the loss of its primary",
        "description": "The primary is lost for a while.",
        "method": [_step("inject", fault, 3), _step("heal", fault, 0.5)],
        "extensions": [
            {
                "name": "recdr",
                "target": "external",
                "service": {
                    "name": name.lower(),
                    "edge": f"http://127.0.0.1:{port}",
                    "regions": {
                        "primary": f"http://127.0.0.1:{port + 1}",
                        "standby": f"http://127.0.0.1:{port + 2}",
                    },
                    "read": {"path": "/recommend", "body": {"user": "{user}", "k": "{k}"}, "ids": "$.items"},
                    "write": {
                        "path": "/events",
                        "body": {"id": "{id}", "user": "{user}", "item": "{item}"},
                        "acknowledged": "$.stored",
                    },
                    "read_back": {"path": "/events?after={cursor}", "ids": "$.ids", "next": "$.next"},
                    "region": {"header": "X-Region"},
                    "users": {"count": 120, "prefix": "u"},
                    "items": {"count": 100, "prefix": "i"},
                },
                "load": {"rate": 0},
                "probes": {"reads_per_s": 40, "writes_per_s": 30, "quality_per_s": 30, "evaluation_users": 24},
                "recovery": {"sustain_s": 1},
                "settle_s": 1,
                "tail_s": 1.5,
                "guard": {"max_duration_s": 60},
                "objectives": {
                    "rto_read_s": {"max": 1.5},
                    "rto_write_s": {"max": 1.5},
                    "rpo_events": {"max": 0},
                    "duplicated_events": {"max": 0},
                    "overlap_at_20": {"min": 0.98},
                    "availability": {"min": 0.6},
                },
            }
        ],
    }


def _step(func: str, arguments: dict[str, Any], pause_s: float) -> dict[str, Any]:
    provider = {"type": "python", "module": "drills.faults.custom", "func": func, "arguments": copy.deepcopy(arguments)}
    return {"type": "action", "name": f"{func}-loss", "provider": provider, "pauses": {"after": pause_s}}


@dataclass(frozen=True)
class Told:
    """What recdr said about a drill."""

    code: int
    verdict: dict[str, Any]
    said: str
    run: Path = field(default_factory=Path)

    @property
    def outcome(self) -> str:
        return str(self.verdict["outcome"])

    @property
    def reasons(self) -> str:
        return " ".join(self.verdict["reasons"])

    def measure(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.verdict["measures"][name]
        return found

    def judged(self) -> dict[str, str]:
        """The outcome of every objective."""
        return {name: m["outcome"] for name, m in self.verdict["measures"].items() if m["outcome"] is not None}


def run_drill(drill: dict[str, Any], folder: Path, environment: dict[str, str], *options: str) -> Told:
    """Write the drill into ``folder``, run it through the command line, and return what came of it."""
    path = folder / "drill.yaml"
    path.write_text(yaml.safe_dump(drill, sort_keys=False))
    runs = folder / "runs"
    command = [RECDR, "drill", "run", str(path), "--json", "--seed", SEED, "--out", str(runs), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    verdict = json.loads(done.stdout) if done.stdout else {}
    found = sorted(runs.iterdir()) if runs.is_dir() else []
    return Told(done.returncode, verdict, done.stderr, found[-1] if found else Path())
