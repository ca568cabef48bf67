"""The node's end of a session's process: it starts it, asks it, loses patience with it, and ends it."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from recsvc.accelerator.device import MODEL, Arrays, DeviceLost
from recsvc.accelerator.memory import Ask, Memory, Reply, create
from recsvc.gpu_trap import TrapError

MESSAGE_BYTES = 65_536
LOOK_S = 0.02
"""Time beyond this in one look at the socket was time in which this process itself was held up."""
END_S = 5.0
COMPUTING_S = 5.0
"""How much longer a simulated accelerator may take that is seen to compute, or to wait for a processor."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reply).decode


class Late(DeviceLost):
    """No answer in time; it may still come."""


class Link:
    """One process with one session a graph. Used by one thread at a time, but for `kill`."""

    def __init__(self, device: str, graphs: Mapping[str, Path], threads: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        inputs, outputs = create("recsvc-inputs"), create("recsvc-outputs")
        handed = (theirs.fileno(), inputs, outputs)
        settings = {
            "device": device,
            "graphs": {name: str(path) for name, path in graphs.items()},
            "threads": threads,
            "parent": os.getpid(),
            **dict(zip(("socket", "inputs", "outputs"), handed, strict=True)),
        }
        self._socket, self._simulated = ours, device == "simulated"
        self._fds: tuple[int, ...] = (inputs, outputs)
        self.waiting = True
        """Whether an answer is still to come."""
        self._number = 0
        """The newest ask's."""
        self._inputs, self._outputs = Memory(inputs), Memory(outputs)
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        try:
            # No preexec_fn: Python code between fork and exec of a process with threads can deadlock.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "recsvc.accelerator.child", msgspec.json.encode(settings).decode()],
                stdin=subprocess.DEVNULL,
                pass_fds=handed,
            )
        except OSError:  # no process or memory left: it is tried again and again, so nothing may stay
            self._give_back()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """What hangs up (POLLHUP) when the process ends."""
        return self._socket.fileno()

    def opened(self, within_s: float) -> str | None:
        """Wait until the sessions are open; returns the GPU's bus id, if any. Raises DeviceLost where they are not."""
        return self._reply(within_s).bus_id

    def run(self, feeds: Arrays, graph: str, *, failed: bool, within_s: float) -> Arrays:
        """Run ``graph``; raises `Late`, DeviceLost, or ValueError for feeds that the graph refuses.

        ``within_s`` counts time in which this process ran: one that was stopped, or got no processor, learns nothing
        about the other.
        """
        number = self._next()
        self._ask(Ask(number, graph, self._inputs.write(feeds), self._inputs.held, failed=failed))
        reply = self._reply(within_s)
        self._outputs.see(reply.held)
        # Copies: what lies there is the next run's as soon as that is asked for.
        return {name: view.copy() for name, view in self._outputs.read(reply.arrays).items()}

    def trap(self, within_s: float) -> int:
        """Break the process's CUDA context; returns the CUresult. Raises `TrapError` when it is as sound as before."""
        self._ask(Ask(self._next(), MODEL, [], self._inputs.held, trap=True))
        try:
            return int(self._reply(within_s).bus_id or 0)
        except ValueError as error:
            raise TrapError(str(error)) from None

    def await_late(self, within_s: float) -> None:
        """Take the answer that came too late, if there is one to come; raises `Late` or DeviceLost."""
        if self.waiting:
            self._reply(within_s)

    def kill(self) -> None:
        """End the process at once; idempotent, from any thread."""
        self._process.kill()

    def close(self) -> None:
        """End the process and give everything back; idempotent."""
        self._process.kill()
        self._ended()
        self._give_back()

    def _give_back(self) -> None:
        self._socket.close()
        for fd in self._fds:
            os.close(fd)
        self._fds = ()

    def _next(self) -> int:
        """The next ask's number; raises DeviceLost while the process owes an answer, and may still read its inputs."""
        if self.waiting:
            raise DeviceLost(f"The session's process {self.pid} still owes an answer.")
        self._number += 1
        return self._number

    def _ask(self, ask: Ask) -> None:
        try:
            self._socket.send(_encode(ask), socket.MSG_NOSIGNAL)
        except OSError as error:
            raise self._gone() from error
        self.waiting = True

    def _reply(self, within_s: float) -> Reply:
        """Wait for an answer; raises what it says, `Late`, or DeviceLost where the process has ended."""
        left_s = within_s
        while not self._poll.poll(1_000 * max(0.0, min(left_s, LOOK_S))):
            if left_s <= 0 and not (left_s > -COMPUTING_S and self._computes()):
                raise Late(f"The session's process {self.pid} has not answered for {within_s:g} s.")
            left_s -= LOOK_S
        try:
            message = self._socket.recv(MESSAGE_BYTES)
        except OSError as error:
            raise self._gone() from error
        if not message:
            raise self._gone()
        self.waiting = False
        reply = _decode(message)
        if reply.number != self._number:
            self._process.kill()
            raise DeviceLost(f"The session's process {self.pid} answered {reply.number} and not {self._number}.")
        if reply.error is not None:
            raise (DeviceLost if reply.lost else ValueError)(reply.error)
        return reply

    def _computes(self) -> bool:
        """Whether a simulated accelerator is not hung but short of processors. CUDA waits in that state, too."""
        if not self._simulated:
            return False
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
        return False

    def _gone(self) -> DeviceLost:
        """What became of a process whose socket is closed."""
        self._process.kill()  # it may have closed its socket and live on
        return DeviceLost(f"The session's process {self.pid} {self._ended()}.")

    def _ended(self) -> str:
        """How the process ended. One that waits within a driver for a device that is gone cannot be killed."""
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return "cannot be ended: it waits within the driver"
        return f"was ended by signal {-code}" if code < 0 else f"ended with {code}"


def hung_up(link: Link | None, wake: int, within_s: float = math.inf) -> bool:
    """Wait until ``link``'s process ends: True; or the eventfd ``wake`` is written, which is read then: False."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    if link is not None:
        poll.register(link.fileno(), 0)  # no events asked for: it still tells of a hang-up, and answers are others'
    ready = dict(poll.poll(None if within_s == math.inf else 1_000 * within_s))
    if wake in ready:
        os.eventfd_read(wake)
        return False
    return bool(ready)
