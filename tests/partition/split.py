"""A whole lab, writers inside both regions, and a network that is cut at jittered moments; what came of every event."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from drills.spec import Topology
from drills.spec.model import Region
from drills.targets.base import A_TO_B, BOTH, EDGE, REGION_HEADER, REGIONS
from drills.targets.local.plan import NODE_PORT, Plan
from drills.targets.local.target import LocalTarget
from tests.processes import pids_with

RATE = 100.0
JITTER_S = 1.0
"""The longest period of whoever looks at the stores: Sentinels' pings come each 0.2 s, INFO each second."""
KINDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "isolated": (("primary", EDGE, BOTH), ("primary", "standby", BOTH)),
    "split": (("primary", "standby", BOTH),),
    "mute": (("primary", EDGE, A_TO_B), ("primary", "standby", A_TO_B)),
    "deaf": ((EDGE, "primary", A_TO_B), ("standby", "primary", A_TO_B)),
}
"""What is cut: the primary from all others; the two regions from each other; what the primary says; what it hears."""


@dataclass(frozen=True)
class Event:
    """What a client saw of an event; ``status`` 0: no answer."""

    id: str
    sent_ns: int
    done_ns: int
    status: int
    copies: int | None

    @property
    def acknowledged(self) -> bool:
        return self.status == 200


@dataclass(frozen=True)
class Found:
    """One cut. Times in seconds from the moment when all of it was in force; None: never.

    ``old_last_s``: when the last event that the primary acknowledged before the mend had been *sent*;
    ``new_first_s``: when the first that the standby acknowledged was answered. ``alone``: the primary's
    acknowledgements on one copy. ``after_mend_s``: how long after the mend the primary went on acknowledging.
    ``overlapping``: acknowledgements of the primary that were, or may have been, given after the standby's first.
    ``lost``: acknowledged events, until one master was left, that neither store has in the end; ``lost_besides``: those
    acknowledged between the cut before and this one, or while the primary was made the master again.
    """

    mode: str
    kind: str
    held_s: float
    acknowledged: int
    old_last_s: float | None
    old_after_cut: int
    alone: int
    new_first_s: float | None
    new_acknowledged: int
    after_mend_s: float | None
    overlapping: int
    lost: int
    lost_besides: int


class Split:
    """A deployed lab with its two writers."""

    def __init__(self, lab: LocalTarget, folder: Path, mode: str, rate: float) -> None:
        self.lab, self.folder, self.mode = lab, folder, mode
        self._known_lost: set[str] = set()
        self._writers = [self._writer(region, rate) for region in REGIONS]

    def _writer(self, region: str, rate: float) -> subprocess.Popen[bytes]:
        plan = Plan({each: self.lab.nodes_of(each) for each in REGIONS})
        store = plan.host(plan.store(region))
        node = plan.host(self.lab.nodes_of(region)[0])
        where = str(self.lab.deployment.about["pid_one"])
        namespace = Path(f"/proc/{where}/ns/pid").readlink()
        inside = [
            pid
            for pid in pids_with("valkey-server", store.address)
            if Path(f"/proc/{pid}/ns/pid").readlink() == namespace
        ]
        command = [sys.executable, "-m", "tests.partition.client", str(inside[0])]
        command += [f"http://{node.address}:{NODE_PORT}", region, str(self._file(region)), str(rate)]
        return subprocess.Popen(command)

    def _file(self, region: str) -> Path:
        return self.folder / f"{region}.jsonl"

    def close(self) -> None:
        for writer in self._writers:
            writer.send_signal(signal.SIGTERM)
        for writer in self._writers:
            writer.wait(10)

    def events(self, region: str) -> list[Event]:
        """What the region's writer saw so far."""
        if not self._file(region).exists():
            return []
        lines = self._file(region).read_text().split("\n")
        return [Event(**json.loads(line)) for line in lines[:-1]]

    def cut(self, kind: str, held_s: float, jitter_s: float) -> Found:
        """Cut, hold, mend, settle, read back; the primary's store is the master before and after."""
        self.wait(lambda: self._writes("primary"), "the primary does not acknowledge")
        time.sleep(jitter_s)
        begun_ns = time.monotonic_ns()
        for a, b, direction in KINDS[kind]:
            self.lab.cut(a, b, direction, why="split")
        cut_ns = time.monotonic_ns()
        time.sleep(held_s)
        mend_ns = time.monotonic_ns()
        for a, b, direction in KINDS[kind]:
            self.lab.mend(a, b, direction, why="split")
        # What one side goes on doing until it hears of the other is part of the outage.
        self.wait(self._one_master, "two masters are left")
        time.sleep(0.5)
        one_ns = time.monotonic_ns()
        self.lab.reset()
        return self._judge(kind, begun_ns, cut_ns, mend_ns, one_ns)

    def _one_master(self) -> bool:
        states = [self.lab.observe(self.lab.nodes_of(region)[0]) or {} for region in REGIONS]
        return sorted(str(state.get("store_role")) for state in states) == ["master", "slave"]

    def _writes(self, region: str) -> bool:
        newest = self.events(region)[-5:]
        return bool(newest) and all(event.acknowledged for event in newest)

    def wait(self, check: Callable[[], bool], complaint: str, within_s: float = 40.0) -> None:
        """Return when ``check`` holds."""
        end_s = time.monotonic() + within_s
        while not check():
            assert time.monotonic() < end_s, complaint
            time.sleep(0.1)

    def _judge(self, kind: str, begun_ns: int, cut_ns: int, mend_ns: int, one_ns: int) -> Found:
        acknowledged = {
            region: [e for e in self.events(region) if e.acknowledged and begun_ns <= e.done_ns <= one_ns]
            for region in REGIONS
        }
        old, new = acknowledged["primary"], acknowledged["standby"]
        first_new_ns = min((event.done_ns for event in new), default=None)
        sent_after = [event for event in old if cut_ns < event.sent_ns and event.done_ns < mend_ns]
        mended = [event.done_ns for event in old if event.done_ns >= mend_ns] if new else []
        # First the acknowledgements, then the stores: the other way round the newest would be missed.
        ours = {event.id for region in REGIONS for event in self.events(region) if event.acknowledged}
        missing = ours.difference(*(self.stored(region) for region in REGIONS)) - self._known_lost
        self._known_lost |= missing
        of_the_cut = {event.id for event in (*old, *new)}
        earliest_new_ns = min((event.sent_ns for event in new), default=None)
        return Found(
            mode=self.mode,
            kind=kind,
            held_s=round((mend_ns - cut_ns) / 1e9, 3),
            acknowledged=len(old) + len(new),
            old_last_s=_since(cut_ns, max((e.sent_ns for e in old if e.done_ns < mend_ns), default=None)),
            old_after_cut=len(sent_after),
            alone=sum(event.copies == 1 for event in sent_after),
            new_first_s=_since(cut_ns, first_new_ns),
            new_acknowledged=len(new),
            after_mend_s=_since(mend_ns, max(mended, default=None)),
            overlapping=0 if earliest_new_ns is None else sum(event.done_ns > earliest_new_ns for event in old),
            lost=len(missing & of_the_cut),
            lost_besides=len(missing - of_the_cut),
        )

    def stored(self, region: str) -> set[str]:
        """The ids in the log of a region's store, asked for at its door."""
        headers, ids, cursor = {REGION_HEADER: region}, set[str](), "0"
        with httpx.Client(base_url=str(self.lab.deployment.ops_url), headers=headers, timeout=5) as door:
            while cursor:
                page = door.get("/v1/events", params={"after": cursor, "limit": 5000}).json()
                ids.update(event["id"] for event in page["events"])
                cursor = page["next"]
        return ids


def _since(start_ns: int, then_ns: int | None) -> float | None:
    return None if then_ns is None else round((then_ns - start_ns) / 1e9, 3)


@contextlib.contextmanager
def deployed(folder: Path, bundle: Path, mode: str, rate: float = RATE) -> Iterator[Split]:
    """A lab of one node a region in this replication mode, with its writers."""
    lab = LocalTarget(folder / "lab", bundle)
    lab.deploy(Topology(primary=Region(nodes=1), standby=Region(nodes=1), replication=mode, accelerator="cpu"))
    try:
        split = Split(lab, folder, mode, rate)
        try:
            yield split
        finally:
            split.close()
    finally:
        lab.teardown()


def repeat(
    split: Split, repetitions: int, seed: int, held_s: float, tell: Callable[[dict[str, Any]], None]
) -> list[Found]:
    """So many cuts, the kinds in turn, each at another phase of whoever looks at the stores."""
    chance, found = random.Random(seed), list[Found]()
    for number in range(repetitions):
        kind = list(KINDS)[number % len(KINDS)]
        found.append(split.cut(kind, held_s + chance.uniform(0, JITTER_S), chance.uniform(0, JITTER_S)))
        tell(asdict(found[-1]))
    return found
