"""How nodes and stores are while a trial goes on: asked twice a second, for the report's charts and for nothing else.

Each node is asked what it says of itself, as seen from the edge. Nothing is judged by it, and nothing waits for it: a
thread asks, and a disk that is full ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drills.recording.record import EventWriter
from drills.targets.base import Target

PERIOD_S = 0.5
KIND = "nodes.seen"

Answers = Mapping[str, dict[str, Any] | None]
"""Node -> what it says of itself (``Target.observe``), None where no answer came."""


@contextmanager
def sampling(target: Target, events: Path, trial: int) -> Iterator[None]:
    """In the block, note every half second how the target's nodes and stores are; nothing where it names no nodes."""
    regions = {region: tuple(nodes) for region, nodes in target.deployment.nodes.items()}
    if not any(regions.values()):
        yield
        return
    ended = threading.Event()
    threading.Thread(target=_sample, args=(target, regions, events, trial, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()  # and do not wait: a node that does not answer may take a second not to


def _sample(
    target: Target, regions: Mapping[str, tuple[str, ...]], events: Path, trial: int, ended: threading.Event
) -> None:
    nodes = [node for own in regions.values() for node in own]
    writer = EventWriter(events, trial)
    try:
        # All at the same moment: two stores can only be compared as they were at one time.
        with ThreadPoolExecutor(len(nodes)) as pool:
            while not ended.is_set():
                asked, due = time.monotonic_ns(), time.monotonic() + PERIOD_S
                answers = dict(zip(nodes, pool.map(target.observe, nodes), strict=True))
                if not ended.is_set():
                    writer.write(KIND, t=asked, **seen(answers, regions))
                ended.wait(max(0.0, due - time.monotonic()))
    except OSError:
        return  # no room on the disk: what must be said goes first
    finally:
        writer.close()


def seen(answers: Answers, regions: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """What is noted of a round of answers: each node's accelerator, each region's store; None where it was not seen."""
    return {
        "nodes": {node: None if said is None else _accelerator(said) for node, said in answers.items()},
        "stores": {region: _store([answers.get(node) for node in own]) for region, own in regions.items()},
    }


def _accelerator(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"accelerator": said.get("accelerator_wanted"), "state": said.get("accelerator_state")}


def _store(answers: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The region's store as the first of its nodes sees it that has just heard from it."""
    for said in answers:
        if said and said.get("store_ready"):
            return {name: said.get(f"store_{name}") for name in ("role", "offset", "linked")}
    return None
