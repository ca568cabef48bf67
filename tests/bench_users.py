"""One node under the mix that Locust's users make, with users' vectors kept and not kept.

70 % recommendations, 15 % searches, 15 % events; users by a Zipf law (the i-th asks 1/i as often as the first), whose
every event changes their history and so their vector. Two nodes, each with a Valkey of its own, take turns on one core
while the other is stopped; 32 connections, closed loop. Every user has asked once before anything is measured, as on a
node that has been up for a while. Afterwards both are taken through the same events on fresh
histories, and asked before, between and after: what is kept must change nothing in the answers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from drills.cli.terminal import OUT
from drills.home import cache
from tests import big_bundle
from tests.load_generator import NUMBER
from tests.serving_rivals import node

SERVER_CORE, LOAD_CORE = 1, 0
CONNECTIONS = 32
USERS, ITEMS = 4_096, 100_000
LINES = 20_000
MEETING = 16
MIX = {"recommend": 0.70, "search": 0.15, "event": 0.15}
KEPT, NOT_KEPT = "users kept", "encoded anew"
GOAL = 2.0
COMPARED_USERS, COMPARED_EVENTS = 40, 3
TOLERANCE = 2e-5
"""Two batches of other sizes round sums of floats otherwise; answers give six decimals."""

Draw = np.random.Generator


@dataclass
class Side:
    """A node, and what the load generator saw of it in each round."""

    served: node.Node
    rounds: list[dict[str, Any]] = field(default_factory=list)
    cache: dict[str, float] = field(default_factory=dict)


def users(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run both, print requests/s, latencies, the ratio and how many answers were the same; returns all of it."""
    bundle = big_bundle.cached(cache(), items=ITEMS)
    mix = folder / "mix"
    mix.write_text("\n".join(json.dumps(line) for line in lines(np.random.default_rng(0))))
    with contextlib.ExitStack() as stack:
        sides = {name: stack.enter_context(_side(folder / name, bundle, name)) for name in (NOT_KEPT, KEPT)}
        order = list(sides.values())
        for side in order:
            _meet_everybody(side)
        for number in range(options.rounds):
            for side in order:
                _turn(side, mix, options.seconds, number)
            order.reverse()
    same, compared = _compare(folder, bundle)
    document = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "figures": {name: side.rounds for name, side in sides.items()},
        "ratios": _ratios(sides[KEPT], sides[NOT_KEPT]),
        "same_answers": same,
        "compared_answers": compared,
        "cache": sides[KEPT].cache,
    }
    _show(document)
    return document


def lines(draw: Draw) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests in the mix's shares: ``(path, body)``; an event's id is made unique by whoever sends it."""
    shares = 1 / np.arange(1, USERS + 1)
    who = draw.choice(USERS, LINES, p=shares / shares.sum())
    what = draw.choice(list(MIX), LINES, p=list(MIX.values()))
    vocabulary = big_bundle.words()
    for user, kind in zip(who.tolist(), what.tolist(), strict=True):
        name = f"u{user}"
        if kind == "recommend":
            yield "/v1/recommend", {"user": name, "k": 20}
        elif kind == "search":
            yield "/v1/search", {"user": name, "query": str(draw.choice(vocabulary)), "k": 20}
        else:
            item = f"i{draw.integers(1, ITEMS + 1)}"
            yield "/v1/events", {"id": f"bench-{NUMBER}", "user": name, "item": item}


@contextlib.contextmanager
def _side(folder: Path, bundle: Path, name: str) -> Iterator[Side]:
    """A node that keeps users or not, stopped."""
    folder.mkdir()
    more = () if name == KEPT else ("--no-user-cache",)
    with node.store(folder, bundle, core=LOAD_CORE) as store_port:
        # Two nodes are held against each other, so neither may ask itself on the side.
        served = node.start_node(folder / "node", bundle, store_port, *more, "--canary-s", "0", core=SERVER_CORE)
        served.server.stop()
        try:
            yield Side(served)
        finally:
            served.server.close()


def _meet_everybody(side: Side) -> None:
    side.served.server.go_on()
    side.served.wait_until_ready()
    with ThreadPoolExecutor(MEETING) as pool:
        asked = ({"user": f"u{user}", "k": 1} for user in range(USERS))
        list(pool.map(lambda body: _ask(side.served.port, "/v1/recommend", body), asked))
    side.served.server.stop()


def _turn(side: Side, mix: Path, seconds: float, number: int) -> None:
    plan = {
        "port": side.served.port,
        "requests": str(mix),
        "seconds": seconds,
        "warm_s": 1.0,
        "connections": CONNECTIONS,
        "core": LOAD_CORE,
        "seed": number + 1,
    }
    side.served.server.go_on()
    try:
        side.served.wait_until_ready()
        command = [sys.executable, "-m", "tests.load_generator", json.dumps(plan)]
        side.rounds.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        side.cache = side.served.metrics("recsvc_user_cache")
    finally:
        side.served.server.stop()


def _compare(folder: Path, bundle: Path) -> tuple[int, int]:
    """How many of how many answers named the same items with the same scores, events in between."""
    found = []
    for name in (NOT_KEPT, KEPT):
        with _side(folder / f"compare {name}", bundle, name) as side:
            side.served.server.go_on()
            side.served.wait_until_ready()
            found.append(list(_script(side.served.port)))
    return sum(_alike(*pair) for pair in zip(*found, strict=True)), len(found[0])


def _script(port: int) -> Iterator[dict[str, Any]]:
    """Ask for users twice, so that the second answer can come from what is kept, then let them do something."""
    draw = np.random.default_rng(3)
    for number in range(COMPARED_EVENTS + 1):
        for user in range(COMPARED_USERS):
            name, query = f"u{user}", str(draw.choice(big_bundle.words()))
            for _ in range(2):
                yield _ask(port, "/v1/recommend", {"user": name, "k": 100})
            yield _ask(port, "/v1/search", {"user": name, "query": query, "k": 20})
            item = f"i{draw.integers(1, ITEMS + 1)}"
            _ask(port, "/v1/events", {"id": f"compare-{number}-{user}", "user": name, "item": item})


def _ask(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read()))


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    near = np.allclose(one["scores"], other["scores"], rtol=0, atol=TOLERANCE)
    return one["items"] == other["items"] and bool(near) and one["degraded"] == other["degraded"]


def _ratios(kept: Side, not_kept: Side) -> list[float]:
    return [one["rate"] / other["rate"] for one, other in zip(kept.rounds, not_kept.rounds, strict=True)]


def _show(document: dict[str, Any]) -> None:
    for name, rounds in document["figures"].items():
        rates = [outcome["rate"] for outcome in rounds]
        p50, p99 = (median(outcome[key] for outcome in rounds) for key in ("p50_ms", "p99_ms"))
        statuses = sum((Counter(outcome["statuses"]) for outcome in rounds), Counter[str]())
        spread = f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f}) req/s"
        OUT.print(f"{name:14}{spread:34} p50 {p50:.1f} ms, p99 {p99:.1f} ms, statuses {dict(statuses)}", soft_wrap=True)
    ratios = document["ratios"]
    met = "met" if median(ratios) >= GOAL else "NOT met"
    OUT.print(
        f"{KEPT} as a multiple: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), goal {GOAL:g}: {met}"
    )
    OUT.print(
        f"answers the same: {document['same_answers']} of {document['compared_answers']}; {document['cache']}",
        soft_wrap=True,
    )
