"""What is done to one run, drawn from its seed; and the short drills that it is done to."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.promise.drilled import LEASE_S, short

SETTINGS = ("service", "service", "ephemeral", "standing", "standing")
MOMENTS = ("", "target.deployed", "trial.started", "load.started", "fault.intent", "fault.effect", "fault.healed")
"""The event after which it happens; none: after the start."""
NODE = "primary/node-1"
FAULTS: dict[str, dict[str, str]] = {
    "region_loss": {"region": "primary"},
    "node_kill": {"node": NODE},
    "partition": {"a": "primary", "b": "edge,standby"},
    "gpu_loss": {"node": NODE},
}
HOW = ("KILL", "TERM", "INT", "STOP, CONT", "STOP, KILL")
HOLD_S = 3.0


@dataclass(frozen=True)
class Case:
    """``how`` happens to one of the run's own processes ``delay_s`` after the event ``moment``."""

    seed: int
    setting: str
    fault: str
    moment: str
    delay_s: float
    how: str
    pause_s: float
    """Between two signals."""
    pick: float
    """Which of the processes that there are at that moment: a share of 1."""

    @property
    def signals(self) -> list[signal.Signals]:
        return [signal.Signals[f"SIG{name}"] for name in self.how.split(", ")]

    @property
    def words(self) -> str:
        after = f"{self.delay_s:.2f} s after {self.moment or 'the start'}"
        pause = f" {self.pause_s:.1f} s apart" if "," in self.how else ""
        return f"{self.setting}, {self.fault}: {self.how}{pause}, {after}"


def drawn(seed: int) -> Case:
    """The case of a seed."""
    draw = random.Random(seed)
    setting = draw.choice(SETTINGS)
    return Case(
        seed=seed,
        setting=setting,
        fault="custom" if setting == "service" else draw.choice(sorted(FAULTS)),
        moment=draw.choice(MOMENTS),
        delay_s=draw.uniform(0, 2.5),
        how=draw.choice(HOW),
        pause_s=draw.choice([1.0, LEASE_S + 3.0]),
        pick=draw.random(),
    )


def drill(case: Case, port: int, mark: Path) -> dict[str, Any]:
    """The drill that the case interrupts: a few seconds long. In a lab it breaks something on the host, too."""
    document = short(port)
    recdr = document["extensions"][0]
    recdr["load"] = {"rate": 5, "users": 5}
    document["method"][0]["pauses"] = {"after": HOLD_S}
    if case.setting == "service":
        return document
    del recdr["target"], recdr["service"]
    recdr["topology"] = {"primary": {"nodes": 1}, "standby": {"nodes": 1}, "accelerator": "simulated"}
    host = {
        "inject": {"command": ["touch", str(mark)]},
        "heal": {"command": ["rm", "-f", str(mark)]},
        "check": {"command": ["test", "-e", str(mark)]},
    }
    document["method"] = [
        _step("inject", "custom", host, 0.5),
        _step("inject", case.fault, FAULTS[case.fault], HOLD_S),
        _step("heal", case.fault, FAULTS[case.fault], 0.5),
    ]
    return document


def _step(func: str, fault: str, arguments: dict[str, Any], pause_s: float) -> dict[str, Any]:
    provider = {"type": "python", "module": f"drills.faults.{fault}", "func": func, "arguments": arguments}
    return {"type": "action", "name": f"{func}-{fault}", "provider": provider, "pauses": {"after": pause_s}}
