"""What recsvc itself costs a request: everything but the model's run and Valkey's own work.

Measured on a real node on one core, with a real Valkey on the other, whose model takes no time
(`tests.serving_rivals.hollow_node`): all CPU time that is left is reading HTTP, decoding, asking the store, queueing,
handing over to the inference thread and back, encoding 100 ids and scores, and writing. ``livez_us`` is the same for an
answer with nothing in it: what is left of that is HTTP alone. Idle time between requests does not count; what the node
does without being asked (its watch over the store) is taken off.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drills.home import cache
from tests import big_bundle
from tests.serving_rivals import node

SERVER_CORE, LOAD_CORE = 1, 0
SECONDS = 2.0
USERS = 1024


def overhead(folder: Path) -> Iterator[dict[str, float]]:
    """Microseconds of the node's CPU a request at 32 connections and at one, and latency at one as a client sees it."""
    bundle = big_bundle.cached(cache())
    asked = folder / "asked"
    asked.write_text("\n".join(json.dumps(["/v1/recommend", {"user": f"u{user}", "k": 100}]) for user in range(USERS)))
    alive = folder / "alive"
    alive.write_text(json.dumps(["/livez", None]))
    with node.store(folder, bundle, core=LOAD_CORE) as store_port:
        module = "tests.serving_rivals.hollow_node"
        served = node.start_node(folder / "node", bundle, store_port, core=SERVER_CORE, module=module)
        try:
            while True:
                idle = _idle_share(served)
                many, one = _cost_us(served, asked, 32, idle), _cost_us(served, asked, 1, idle)
                yield {
                    "recommend_us": many[0],
                    "recommend_alone_us": one[0],
                    "livez_us": _cost_us(served, alive, 32, idle)[0],
                    "requests_per_s": many[1]["rate"],
                    "latency_alone_us": one[1]["p50_ms"] * 1e3,
                }
        finally:
            served.server.close()


def _idle_share(served: node.Node) -> float:
    """CPU seconds a second that the node takes when nobody asks."""
    before, begin_s = served.server.cpu_s(), time.monotonic()
    time.sleep(SECONDS / 2)
    return (served.server.cpu_s() - before) / (time.monotonic() - begin_s)


def _cost_us(served: node.Node, requests: Path, connections: int, idle: float) -> tuple[float, dict[str, Any]]:
    plan = {
        "port": served.port,
        "requests": str(requests),
        "seconds": SECONDS,
        "warm_s": 0.0,
        "connections": connections,
        "core": LOAD_CORE,
    }
    before, begin_s = served.server.cpu_s(), time.monotonic()
    command = [sys.executable, "-m", "tests.load_generator", json.dumps(plan)]
    outcome = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if set(outcome["statuses"]) != {"200"}:
        raise RuntimeError(f"the node did not answer as it should: {outcome['statuses']}")
    spent_s = served.server.cpu_s() - before - idle * (time.monotonic() - begin_s)
    return spent_s / outcome["answered"] * 1e6, outcome
