"""What clients see of an accelerator that is lost a hundred times, at 200 requests/s in open loop.

A node serves the tiny model, or the bundle that ``--bundle`` names. Kinds of loss take turns: ``fail``, the error of
a lost context (simulated; on a GPU a real one by a trap kernel); ``kill``, SIGKILL to the session's process; ``hang``,
SIGSTOP to it. Each comes at a random moment a second or more after the last has healed. Times are those of answers as
clients get them, so they are no finer than the 5 ms between two requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drills.cli.terminal import OUT
from recsvc.bundle import Bundle
from recsvc.pseudonym import Pseudonymiser
from recsvc.seed import seed
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Cluster, Node, children

KINDS = ("fail", "kill", "hang")
RATE_PER_S = 200.0
PATIENCE_S = 20.0
IDLE_S = 30.0
"""Nodes close a connection that was idle for 75 s, which is no failure of theirs."""
BODY = b'{"user": "u1", "k": 20}'


@dataclass
class Answers:
    """``rows``: due and done in seconds of `time.monotonic()`, HTTP status (0: none), whether degraded."""

    rows: list[tuple[float, float, int, bool]] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def first(self, *, degraded: bool, after_s: float) -> float | None:
        """When the first answer came that was due after ``after_s`` and is ``degraded`` or not; None if none does."""
        end_s, begin = time.monotonic() + PATIENCE_S, max(0, len(self.rows) - 1_000)
        while time.monotonic() < end_s:
            for due_s, done_s, status, was in self.rows[begin:]:
                if due_s >= after_s and status == 200 and was == degraded:
                    return done_s
            begin = max(0, len(self.rows) - 1_000)
            async with self.arrived:
                await self.arrived.wait()
        return None


@dataclass(frozen=True)
class Loss:
    """One loss: seconds from it to the first degraded answer, and to the first that no longer is; None: never seen."""

    kind: str
    at_s: float
    degraded_s: float | None
    back_s: float | None


class Connections:
    """HTTP/1.1 connections that are kept and used again; a plain client costs more than what is measured."""

    def __init__(self, port: int) -> None:
        self._port, self._idle = port, list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]]()

    async def ask(self) -> tuple[int, bool]:
        """Ask for a recommendation; returns status and whether the answer is degraded."""
        reader, writer = await self._open()
        head = f"POST /v1/recommend HTTP/1.1\r\nHost: node\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
        writer.write(head + BODY)
        said = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = next(int(line[15:]) for line in said.split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        self._idle.append((reader, writer, time.monotonic()))
        return int(said.split(b" ", 2)[1]), b"x-recsvc-degraded: 1" in said

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection used last; one that the node is soon to close for its idleness is closed here first."""
        while self._idle and time.monotonic() - self._idle[0][2] > IDLE_S:
            self._idle.pop(0)[1].close()
        if self._idle:
            return self._idle.pop()[:2]
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        for _, writer, _ in self._idle:
            writer.close()


async def ask_on_schedule(connections: Connections, answers: Answers, rate_per_s: float) -> None:
    """Send requests at Poisson times until cancelled, whether or not earlier ones were answered."""
    due_s, asking = time.monotonic(), set[asyncio.Task[None]]()

    async def one(due_s: float) -> None:
        try:
            status, degraded = await asyncio.wait_for(connections.ask(), 5.0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            status, degraded = 0, False
            answers.errors.append((time.monotonic(), repr(error)))
        answers.rows.append((due_s, time.monotonic(), status, degraded))
        async with answers.arrived:
            answers.arrived.notify_all()

    try:
        while True:
            due_s += random.expovariate(rate_per_s)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            asking.add(task := asyncio.create_task(one(due_s)))
            task.add_done_callback(asking.discard)
    finally:
        await asyncio.gather(*asking)


async def lose(node: Node, kind: str, answers: Answers) -> Loss:
    """Break the accelerator once, and wait until it is back."""
    at_s = time.monotonic()
    if kind == "fail":
        layer = "context" if node.accelerator == "cuda" else "simulated"
        await asyncio.to_thread(node.admin.post, "/accelerator/fail", json={"layer": layer})
    else:
        os.kill(children(node)[0], signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
    lost_s = await answers.first(degraded=True, after_s=at_s - 1.0)
    if kind == "fail":
        await asyncio.to_thread(node.admin.post, "/accelerator/restore")
    back_s = await answers.first(degraded=False, after_s=lost_s) if lost_s is not None else None
    return Loss(kind, at_s, _since(at_s, lost_s), _since(at_s, back_s))


def _since(begin_s: float, end_s: float | None) -> float | None:
    return None if end_s is None else end_s - begin_s


async def story(node: Node, kinds: Sequence[str], rate_per_s: float) -> tuple[list[Loss], Answers]:
    """Lose the accelerator of ``node`` once for each of ``kinds``; returns the losses and every answer."""
    answers, connections, losses = Answers(), Connections(node.port), list[Loss]()
    asking = asyncio.create_task(ask_on_schedule(connections, answers, rate_per_s))
    await asyncio.sleep(1.5)
    for kind in kinds:
        losses.append(await lose(node, kind, answers))
        await asyncio.sleep(1.1 + random.random() / 2)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    connections.close()
    return losses, answers


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench accelerator", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--kinds", default=",".join(KINDS), help="of fail, kill, hang")
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="requests a second")
    parser.add_argument("--accelerator", choices=["simulated", "cuda"], default="simulated")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--json", type=Path, help="where to write every loss")
    options = parser.parse_args(argv)
    kinds = options.kinds.split(",")
    with tempfile.TemporaryDirectory(prefix="recdr-bench-") as name:
        folder = Path(name)
        cluster = Cluster(folder, options.bundle or tiny_bundle.write(folder / "bundle"))
        try:
            store = cluster.store("store")
            seed(Bundle.load(cluster.bundle), Pseudonymiser.from_file(cluster.key_file), ("127.0.0.1", store.port))
            node = cluster.node("primary/node-1", store, replication="async", accelerator=options.accelerator)
            losses, answers = asyncio.run(
                story(node, [kinds[n % len(kinds)] for n in range(options.kills)], options.rate)
            )
        finally:
            cluster.close()
    if options.json:
        options.json.write_text(json.dumps([vars(loss) for loss in losses]))
    show(losses, answers)


def show(losses: list[Loss], answers: Answers) -> None:
    """Print what became of the requests, and how long each kind of loss took to be noticed and to be over."""
    statuses = Counter(status for _, _, status, _ in answers.rows)
    failed = sum(count for status, count in statuses.items() if status != 200)
    unseen = sum(loss.degraded_s is None or loss.back_s is None for loss in losses)
    OUT.print(f"accelerator: {len(losses)} losses, {len(answers.rows)} requests: {failed} failed {dict(statuses)}")
    for at_s, error in answers.errors[:10]:
        last = max((loss.at_s for loss in losses if loss.at_s <= at_s), default=at_s)
        OUT.print(f"  failed {at_s - last:.2f} s after a loss: {error}")
    OUT.print(f"  {unseen} losses of which no degraded answer, or no end, was seen")
    around = [done - due for due, done, _, _ in answers.rows if any(0 <= done - loss.at_s < 1.0 for loss in losses)]
    apart = [done - due for due, done, _, _ in answers.rows if not any(0 <= done - loss.at_s < 4.0 for loss in losses)]
    OUT.print(f"  latency in the second after a loss, ms: {_spread(around, (0.5, 0.99, 1.0))}")
    OUT.print(f"  latency while all is well, ms:          {_spread(apart, (0.5, 0.99, 1.0))}")
    for kind in dict.fromkeys(loss.kind for loss in losses):
        lost = [loss.degraded_s for loss in losses if loss.kind == kind and loss.degraded_s is not None]
        back = [loss.back_s for loss in losses if loss.kind == kind and loss.back_s is not None]
        OUT.print(f"  {kind}: degraded after, ms:      {_spread(lost, (0.05, 0.5, 0.95, 1.0))}  of {len(lost)}")
        OUT.print(f"  {kind}: back after the loss, ms: {_spread(back, (0.05, 0.5, 0.95, 1.0))}  of {len(back)}")


def _spread(values_s: Sequence[float], quantiles: Sequence[float]) -> str:
    """Quantiles of seconds, in milliseconds; the nearest rank."""
    ordered = sorted(values_s)
    if not ordered:
        return "none"
    names = {0.05: "p5", 0.5: "p50", 0.95: "p95", 0.99: "p99", 1.0: "max"}
    at = {q: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in quantiles}
    return "  ".join(f"{names[q]} {1_000 * value:.1f}" for q, value in at.items())


if __name__ == "__main__":
    main()
