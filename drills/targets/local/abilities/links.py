"""Slow, lossy or narrow ways between two places of the lab, and the datagrams that show how they are."""

from __future__ import annotations

import time
from collections.abc import Mapping

from drills.targets.base import Arrived
from drills.targets.local.abilities.asking import Asking

_EVERY_S = 0.02


class Links(Asking):
    """Makes the local target Shapeable and, where the kernel has netem, Delayable."""

    def shape(self, a: str, b: str, properties: Mapping[str, float], why: str) -> None:
        self._ask("shape", a=a, b=b, properties=dict(properties), why=why)

    def unshape(self, why: str) -> None:
        self._ask("unshape", why=why)

    def send_datagrams(self, source: str, destination: str, count: int, size: int, wait_s: float) -> Arrived:
        number = self._ask("send_datagrams", source=source, destination=destination, count=count, size=size)
        deadline = time.monotonic() + wait_s
        while True:
            late = time.monotonic() >= deadline
            seen = self._ask("arrived", number=number, close=late)
            if late or len(seen["delays_ms"]) == count:
                return Arrived(seen["sent"], tuple(seen["delays_ms"]), seen["mbit_per_s"])
            time.sleep(_EVERY_S)
