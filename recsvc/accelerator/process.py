"""A device whose sessions live in a process of their own, so that whatever ends them leaves the node standing."""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Hashable, Iterator

import onnxruntime

from recsvc.accelerator.device import (
    CUDA,
    MODEL,
    Arrays,
    Boundary,
    DeviceLost,
    Graphs,
    NotFailable,
    by_name,
    what_can_fail,
)
from recsvc.accelerator.link import Late, Link

OPEN_S = 60.0
"""How long a process may take to start and open its sessions, and each first run: CUDA loads its kernels then."""
PATIENCE_S = 0.25
"""The shortest time after which a run counts as hung: less than a request may wait, less the CPU's own run."""
PATIENCE_RUNS = 10
"""A run that takes longer than so many warm runs of the largest batch counts as hung, however large the model is."""
DEADLINE_S = 1.0
"""How long a request may wait, where nobody says."""
LATE_S = 0.5
"""How long a hung process may take to answer after all before it is killed: a machine that is busy is no lost GPU."""
TRAP_S = 5.0


class ProcessDevice:
    """``cuda`` or ``simulated`` in a child process; its first process is started by the first `revive`."""

    def __init__(
        self, name: str, graphs: Graphs, threads: int, boundary: Boundary, deadline_s: float = DEADLINE_S
    ) -> None:
        self.name = name
        self.patience_s = PATIENCE_S
        self._deadline_s = deadline_s
        self._warm_s: dict[Hashable, float] = {}
        """How long a warm run takes, by graph and shapes."""
        self._graphs, self._threads, self._boundary = by_name(graphs), threads, boundary
        self._using = threading.Lock()
        self._ending = threading.Lock()
        self._link: Link | None = None
        self._sound = self._closed = False

    @property
    def link(self) -> Link | None:
        """The process now; None before the first and after the last."""
        return self._link

    def run(self, feeds: Arrays, graph: str = MODEL) -> Arrays:
        return self._run(feeds, graph, self.patience_s)

    def warm_up(self, feeds: Arrays, graph: str = MODEL) -> None:
        """Run twice: the shortest of all times tells how long a run takes, whatever once held one up."""
        key = (graph, *sorted((name, array.shape) for name, array in feeds.items()))
        for _ in range(2):
            begin_s = time.monotonic()
            self._run(feeds, graph, OPEN_S)
            took_s = time.monotonic() - begin_s
            self._warm_s[key] = min(took_s, self._warm_s.get(key, took_s))
        self.patience_s = _patience_s(max(self._warm_s.values()), self._deadline_s)

    def revive(self) -> bool:
        """Start another process where the last one is lost or hung; see `Device.revive`."""
        with self._using:
            if self._sound:
                return False
            if self._answers_late():
                self._sound = True
                return False
            self._end()
            self._start()
            return True

    def fail(self, layer: str) -> None:
        """Break the device: ``simulated``, ``context`` or ``process``; raises `NotFailable` or `TrapError`."""
        if layer == "simulated" and self.name == "simulated":
            self._boundary.failed = True
        elif layer == "process":
            self._boundary.kills = True
            self.kill()
        elif layer == "context" and self.name == "cuda":
            self._trap()
        else:
            raise NotFailable(what_can_fail(self.name, layer))

    def _trap(self) -> None:
        if not self._sound:
            raise NotFailable("The accelerator is lost already: there is no context to break.")
        with self._in_use(TRAP_S) as link, self._lost_with():
            link.trap(TRAP_S)

    def restore(self) -> None:
        self._boundary.failed = self._boundary.kills = False

    def kill(self) -> None:
        """End the process that runs now, if any; the next run notices. From any thread."""
        with self._ending:
            if self._link is not None:
                self._link.kill()

    def let_go(self) -> None:
        """End the process and start none: whoever resets the GPU needs it unused. The next `revive` starts one."""
        self.kill()
        with self._using:
            self._end()

    def stop(self) -> None:
        """End the process and let no other start; from any thread. `close` gives back what is left."""
        self._closed = True
        self.kill()

    def close(self) -> None:
        self.stop()
        self.let_go()

    def _run(self, feeds: Arrays, graph: str, within_s: float) -> Arrays:
        with self._in_use(within_s) as link, self._lost_with():
            return link.run(feeds, graph, failed=self._boundary.failed, within_s=within_s)

    @contextlib.contextmanager
    def _lost_with(self) -> Iterator[None]:
        """A process that is lost or late in the block is not asked again before `revive` has seen to it."""
        try:
            yield
        except DeviceLost:
            self._sound = False
            raise

    @contextlib.contextmanager
    def _in_use(self, within_s: float) -> Iterator[Link]:
        """In the block the process is the caller's; raises DeviceLost where there is none."""
        if not self._using.acquire(timeout=within_s):
            raise DeviceLost("The session's process is being replaced.")
        try:
            if self._link is None or not self._sound:
                raise DeviceLost("The session's process is not there.")
            yield self._link
        finally:
            self._using.release()

    def _answers_late(self) -> bool:
        if self._link is None or not self._link.waiting:
            return False
        try:
            self._link.await_late(LATE_S)
        except (DeviceLost, ValueError):
            return False
        return True

    def _start(self) -> None:
        if self.name == "cuda" and (why := no_driver()):
            raise DeviceLost(why)
        with self._ending:
            if self._closed:
                raise DeviceLost("The accelerator is closed.")
            self._link = Link(self.name, self._graphs, self._threads)
        try:
            bus_id = self._link.opened(OPEN_S)
        except Late as error:
            raise DeviceLost(f"The session's process did not open its sessions within {OPEN_S:g} s.") from error
        if self._boundary.kills:
            self._link.kill()
        self._sound = True
        if self.name == "cuda":
            self._boundary.xids.watch(bus_id)

    def _end(self) -> None:
        with self._ending:
            link, self._link, self._sound = self._link, None, False
        if link is not None:
            link.close()


def _patience_s(warm_s: float, deadline_s: float) -> float:
    """After how long a run counts as hung: while the CPU can still answer, or twice a warm run if that is longer."""
    return max(PATIENCE_S, min(PATIENCE_RUNS * warm_s, max(deadline_s / 2, 2 * warm_s)))


def no_driver() -> str | None:
    """Why no process need be started to know that there is no GPU; None where one must try. Calls no driver."""
    if CUDA not in onnxruntime.get_available_providers():
        return "This onnxruntime was built without CUDA."
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "The CUDA driver is missing or sees no device."
    return None
