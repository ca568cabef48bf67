"""recsvc beside other servers of the same model: ``python -m tests.bench serving --rounds 4 --seconds 3``.

One ONNX file (recsvc's own graph over 100,000 x 64 with random weights, k = 100), one core for the server, the other
for the load. All servers are started once; in each round each has its turn, in an order that moves on by one, while the
others are stopped, so that a slow minute falls on all alike. Ratios are taken within a round.

recsvc does more than the others in a request: it is asked for a user and reads that user's history from Valkey (which
runs on the load's core), while the others are handed the history. Encoded users are not kept, except in its own row.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from drills.cli.terminal import OUT
from drills.home import cache
from tests import big_bundle
from tests.serving_rivals import contenders, node, processes
from tests.serving_rivals.alone import SIZES

SERVER_CORE, LOAD_CORE = 1, 0
LOADS: dict[str, dict[str, float]] = {
    "c=1": {"connections": 1},
    "c=32": {"connections": 32},
    "400/s": {"rate": 400},
}
KEPT = "recsvc, users kept"
ALONE = "onnxruntime alone"
CEILING = "onnxruntime alone, same batches"
GOALS = {"fastapi": 3.0, "bentoml": 3.0, "litserve": 3.0, "mlserver": 2.3, "mosec": 1.25, CEILING: 0.95}
ASKED = 1024
CHECKED = 20


@dataclass
class Contender:
    """A server that runs. ``figures[load]`` holds one outcome of the load generator a round."""

    name: str
    server: processes.Server
    port: int
    path: str
    ask: Callable[[int], Any]
    ids: Callable[[Any], Sequence[str]]
    requests: Path
    node: node.Node | None = None
    figures: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {load: [] for load in LOADS})
    memory_mb: float = 0.0

    def answer(self, user: int) -> list[str]:
        """The ids for one user."""
        body = json.dumps(self.ask(user)).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.path}", body, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return list(self.ids(json.loads(answer.read())))


def serving(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the comparison, print it, and return it: every figure of every round, ratios, goals, versions."""
    begin_s = time.monotonic()
    bundle = big_bundle.cached(cache())
    histories = _histories(bundle)
    with contextlib.ExitStack() as stack:
        running = list(_start(folder, bundle, histories, options, stack))
        same = _same_answers(running)
        ceilings: list[dict[str, dict[str, float]]] = []
        order = list(running)
        for number in range(options.rounds):
            for contender in order:
                _turn(contender, options.seconds, number)
            ceilings.append(_alone(folder, bundle, histories, options.seconds))
            order.append(order.pop(0))
            OUT.print(f"round {number + 1} of {options.rounds} done, {time.monotonic() - begin_s:.0f} s")
    document = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "took_s": round(time.monotonic() - begin_s, 1),
        "figures": {contender.name: contender.figures for contender in running},
        "memory_mb": {contender.name: round(contender.memory_mb) for contender in running},
        "alone_s": ceilings,
        "same_answers": same,
        "ratios": _ratios(running, ceilings),
        "cpu_ratios": _cpu_ratios(running, ceilings),
    }
    _show(document)
    return document


def _histories(bundle: Path) -> list[list[int]]:
    """The catalogue indices of users u0, u1, ..."""
    rows = json.loads((bundle / "histories.json").read_text())
    return [[int(item[1:]) for item in rows[f"u{user}"]] for user in range(ASKED)]


def _start(
    folder: Path,
    bundle: Path,
    histories: list[list[int]],
    options: argparse.Namespace,
    stack: contextlib.ExitStack,
) -> Iterator[Contender]:
    (folder / "histories.json").write_text(json.dumps(histories))
    wanted = set(options.only or ())
    store_port = stack.enter_context(node.store(folder, bundle, core=LOAD_CORE))
    can_keep = node.has_option("--no-user-cache")
    rows = {"recsvc": ("--no-user-cache",), KEPT: ()} if can_keep else {"recsvc": ()}
    for name, more in rows.items():
        started = node.start_node(folder / name, bundle, store_port, *more, core=SERVER_CORE)
        stack.callback(started.server.close)
        yield _ready(
            Contender(
                name,
                started.server,
                started.port,
                "/v1/recommend",
                lambda user: {"user": f"u{user}", "k": contenders.K},
                lambda answer: answer["items"],
                folder / name / "requests",
                started,
            )
        )
    for rival in contenders.RIVALS:
        if not wanted or rival.name in wanted:
            yield _ready(_start_rival(rival, folder / rival.name, bundle, histories, stack))


def _start_rival(
    rival: contenders.Rival, folder: Path, bundle: Path, histories: list[list[int]], stack: contextlib.ExitStack
) -> Contender:
    interpreter = contenders.python(rival, cache() / "rivals", OUT.print)
    folder.mkdir()
    port = node.free_port()
    for name, document in rival.files(port).items():
        (folder / name).write_text(json.dumps(document))
    environment = {
        "RIVAL_MODEL": str(bundle / "model.onnx"),
        "RIVAL_ITEMS": str(bundle / "items.json"),
        "PYTHONPATH": str(contenders.HERE),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [str(interpreter), *rival.command(port)]
    server = processes.start(command, folder / "log", core=SERVER_CORE, environment=environment, cwd=folder)
    stack.callback(server.close)
    ask = lambda user: rival.ask(histories[user])  # noqa: E731
    return Contender(rival.name, server, port, rival.path, ask, rival.ids, folder / "requests")


def _ready(contender: Contender) -> Contender:
    """Wait for its first answer, write down what it will be asked, and stop it until its turn comes."""

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return bool(contender.answer(0))
        return False

    processes.wait_for(answers, contender.server, contender.name)
    lines = [json.dumps([contender.path, contender.ask(user)]) for user in range(ASKED)]
    contender.requests.write_text("\n".join(lines))
    contender.server.stop()
    return contender


def _same_answers(running: list[Contender]) -> dict[str, int]:
    """For each contender, for how many of some users it names the very items that recsvc names, in the same order."""
    users = random.Random(1).sample(range(ASKED), CHECKED)
    found = {}
    for contender in running:
        contender.server.go_on()
        found[contender.name] = [contender.answer(user) for user in users]
        contender.server.stop()
    expected = found[running[0].name]
    return {name: sum(a == b for a, b in zip(rows, expected, strict=True)) for name, rows in found.items()}


def _turn(contender: Contender, seconds: float, number: int) -> None:
    contender.server.go_on()
    try:
        if contender.node:
            contender.node.wait_until_ready()
        for load, how in LOADS.items():
            before = contender.node.batches() if contender.node else (0.0, 0.0)
            plan = {"port": contender.port, "requests": str(contender.requests), "seconds": seconds, "seed": number}
            spent_s = contender.server.cpu_s()
            outcome = _load({**plan, **how, "core": LOAD_CORE})
            outcome["cpu_ms"] = (contender.server.cpu_s() - spent_s) / max(1, outcome["total"]) * 1e3
            if contender.node:
                batches, requests = (after - was for after, was in zip(contender.node.batches(), before, strict=True))
                outcome["mean_batch"] = requests / batches if batches else 0.0
            contender.figures[load].append(outcome)
        contender.memory_mb = max(contender.memory_mb, contender.server.memory_mb())
    finally:
        contender.server.stop()


def _load(plan: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.load_generator", json.dumps(plan)]
    outcome: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return outcome


def _alone(folder: Path, bundle: Path, histories: list[list[int]], seconds: float) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "tests.serving_rivals.alone", str(SERVER_CORE), str(2 * seconds)]
    environment = {"RIVAL_MODEL": str(bundle / "model.onnx"), "RIVAL_ITEMS": str(bundle / "items.json")}
    environment["PYTHONPATH"] = f"{contenders.HERE}:{Path.cwd()}"
    command.append(str(folder / "histories.json"))
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return dict(json.loads(ran.stdout))


def _ceiling(alone_s: dict[str, float], mean_batch: float) -> float:
    """Requests a second of onnxruntime alone in batches of ``mean_batch`` on average.

    Exact as far as a batch's time is a straight line in its size between two neighbouring sizes that were measured.
    """
    sizes = [float(size) for size in SIZES]
    took = [alone_s[str(size)] for size in SIZES]
    below = max(i for i, size in enumerate(sizes[:-1]) if size <= max(1.0, mean_batch))
    share = (mean_batch - sizes[below]) / (sizes[below + 1] - sizes[below])
    return mean_batch / (took[below] + share * (took[below + 1] - took[below]))


def _ratios(running: list[Contender], ceilings: list[dict[str, dict[str, float]]]) -> dict[str, list[float]]:
    """recsvc's requests a second at c=32 as a multiple of each other's, round by round."""
    own = running[0].figures["c=32"]
    ratios = {}
    for other in running[1:]:
        theirs = other.figures["c=32"]
        ratios[other.name] = [a["rate"] / max(b["rate"], 0.01) for a, b in zip(own, theirs, strict=True)]
    ratios[CEILING] = [
        outcome["rate"] / _ceiling(alone["wall"], outcome["mean_batch"])
        for outcome, alone in zip(own, ceilings, strict=True)
    ]
    return ratios


def _cpu_ratios(running: list[Contender], ceilings: list[dict[str, dict[str, float]]]) -> dict[str, list[float]]:
    """How many times the CPU of recsvc each other spends on a request at c=32: what other work on the machine
    does to the clock does not show in it, nor does a core that a server leaves idle.
    """
    own = running[0].figures["c=32"]
    ratios = {
        other.name: [b["cpu_ms"] / a["cpu_ms"] for a, b in zip(own, other.figures["c=32"], strict=True)]
        for other in running[1:]
    }
    ratios[CEILING] = [
        1e3 / _ceiling(alone["cpu"], outcome["mean_batch"]) / outcome["cpu_ms"]
        for outcome, alone in zip(own, ceilings, strict=True)
    ]
    return ratios


def _show(document: dict[str, Any]) -> None:
    OUT.print(
        f"{document['rounds']} rounds of {document['seconds']:g} s a load, median (least to greatest)", soft_wrap=True
    )
    head = "".join(f"{f'{load} req/s':>26}{'p50 ms':>9}{'p99 ms':>9}" for load in LOADS)
    OUT.print(f"{'':20}{head}{'PSS MB':>9}{'same ids':>10}", soft_wrap=True)
    for name, figures in document["figures"].items():
        row = "".join(_cells(figures[load]) for load in LOADS)
        same = f"{document['same_answers'][name]}/{CHECKED}"
        OUT.print(f"{name:20}{row}{document['memory_mb'][name]:9}{same:>10}", soft_wrap=True)
    for size in SIZES:
        rates = [size / alone["wall"][str(size)] for alone in document["alone_s"]]
        OUT.print(f"{ALONE}, batches of {size}: {_spread(rates)} req/s", soft_wrap=True)
    OUT.print("recsvc's requests/s at c=32 as a multiple, by rounds:")
    for name, ratios in document["ratios"].items():
        goal = GOALS.get(name)
        verdict = "" if goal is None else f"  goal {goal:g}: {'met' if median(ratios) >= goal else 'NOT met'}"
        OUT.print(f"  {name:32}{_spread(ratios, 2)}{verdict}", soft_wrap=True)
    OUT.print("CPU spent on a request at c=32 as a multiple of recsvc's, by rounds:")
    for name, ratios in document["cpu_ratios"].items():
        OUT.print(f"  {name:32}{_spread(ratios, 2)}", soft_wrap=True)


def _cells(outcomes: list[dict[str, Any]]) -> str:
    p50, p99 = (median(outcome[name] for outcome in outcomes) for name in ("p50_ms", "p99_ms"))
    return f"{_spread([outcome['rate'] for outcome in outcomes]):>26}{p50:9.1f}{p99:9.1f}"


def _spread(values: list[float], digits: int = 0) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
