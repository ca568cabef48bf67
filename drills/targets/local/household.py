"""The processes of a lab, as its PID 1 starts, signals, listens to and misses them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from drills.recording.record import EventWriter
from drills.targets.local import namespaces, services
from drills.targets.local.network import Network
from drills.targets.local.services import Service, Settings
from drills.targets.local.sightings import READERS

REACHABLE_S = 0.3


@dataclass
class Running:
    """A process of the lab and where its output goes."""

    service: Service
    process: subprocess.Popen[bytes]
    log: BinaryIO
    rest: bytes = b""
    ending: bool = False


@dataclass
class Tool:
    """A helper process that runs once; ``code`` is None while it runs."""

    process: subprocess.Popen[bytes]
    output: Path
    code: int | None = None


@dataclass
class Household:
    """What runs in a lab. Nothing here waits for another process; a full disk costs words, never the lab."""

    settings: Settings
    network: Network
    events: EventWriter
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    running: dict[str, Running] = field(default_factory=dict)
    tools: dict[str, Tool] = field(default_factory=dict)
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The paths at which a process that is started finds nothing."""
    listener: socket.socket | None = None
    """Where requests come in; none is taken while a connection is tried."""

    def start(self, service: Service) -> None:
        """Start a process in its host's network; one that runs is left alone, one told to end is ended first."""
        if running := self.running.get(service.name):
            if not running.ending:
                return
            self.kill(service.name, signal.SIGKILL)
        network, hidden = self.network.namespace(service.host), self.hidden.get(service.name, ())
        process = self.spawn(service.argv, network, service.fds, subprocess.PIPE, hidden)
        log = (self.settings.logs / f"{service.name.replace('/', '-')}.log").open("ab", buffering=0)
        self.running[service.name] = Running(service, process, log)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self.selector.register(process.stdout, selectors.EVENT_READ, lambda: self._read(service.name))

    def kill(self, name: str, number: int) -> None:
        """Signal a process; one that does not run is left alone. After SIGKILL it is gone when this returns."""
        if running := self.running.get(name):
            running.process.send_signal(number)
            running.ending = running.ending or number not in (signal.SIGSTOP, signal.SIGCONT)
            if number == signal.SIGKILL:
                running.process.wait()
                self._ended(name)

    def spawn(
        self,
        argv: tuple[str, ...],
        network: int | None,
        fds: tuple[int, ...],
        output: Any,
        hidden: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        def enter() -> None:
            if network is not None:
                namespaces.enter_network(network)
            if hidden:
                namespaces.hide(hidden)

        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "HOME": "/tmp"}  # noqa: S108
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=fds,
            preexec_fn=enter,  # noqa: PLW1509 - PID 1 has one thread, and setns has no other place
            start_new_session=True,
            cwd=self.settings.run,
            env=environment,
        )

    def run_tool(self, name: str, argv: list[str]) -> None:
        """Run ``python -m argv`` at the router, from where every host can be reached."""
        output = self.settings.logs / f"{name}.log"
        with output.open("ab") as log:
            process = self.spawn((sys.executable, "-P", "-m", *argv), None, (), log)
        self.tools[name] = Tool(process, output)

    def tool(self, name: str) -> dict[str, Any]:
        """Whether a tool still runs, how it ended, and its last words."""
        tool = self.tools[name]
        tool.code = tool.process.poll()  # asked for often, so a tool that ended is not a zombie for long
        return {"code": tool.code, "output": tool.output.read_text(errors="replace")[-2000:]}

    def admin(self, node: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a command to a node's admin socket; raises RuntimeError if refused, OSError where nobody answers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(3.0)
            client.connect(str(services.admin_socket(node)))
            content = json.dumps(body).encode()
            head = f"POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            client.sendall(head.encode() + content)
            answer = client.makefile("rb").read()
        head_, _, content = answer.partition(b"\r\n\r\n")
        if head_.split(b" ", 2)[1:2] not in ([b"200"], [b"202"]):
            raise RuntimeError(f"{node} refused {path}: {content.decode(errors='replace')}")
        return {"node": node}

    def note(self, kind: str, **data: Any) -> None:
        """Write an event, if the disk has room for it."""
        with contextlib.suppress(OSError):
            self.events.write(kind, **data)

    def reachable(self, source: str, destination: str) -> bool:
        """Whether a TCP connection from ``source`` to ``destination`` opens within 0.3 s."""
        with self.network.dial(source, destination) as dial:
            return self.connected(dial, time.monotonic() + REACHABLE_S)

    def connected(self, dial: socket.socket, deadline: float) -> bool:
        """Whether a socket that is connecting got through by ``deadline``."""
        return self.becomes(selectors.EVENT_WRITE, dial, deadline) and _has_peer(dial)

    def becomes(self, event: int, dial: socket.socket, deadline: float) -> bool:
        """Whether a socket became readable or writable by ``deadline``.

        Logs are read meanwhile: a line that waits gets a later time, and a drill asks this just while things happen.
        """
        self.selector.register(dial, event)
        try:
            return self._became(dial, deadline)
        finally:
            self.selector.unregister(dial)

    def _became(self, dial: socket.socket, deadline: float) -> bool:
        while (left := deadline - time.monotonic()) > 0:
            waiting = [key for key, _ in self.selector.select(timeout=left) if key.fileobj is not self.listener]
            if any(key.fileobj is dial for key in waiting):
                return True
            for key in waiting:
                key.data()
            if not waiting:  # only the next caller, who has to wait
                time.sleep(min(left, 0.005))
        return False

    def _read(self, name: str) -> None:
        running = self.running.get(name)
        if running is None or running.process.stdout is None:
            return
        try:
            chunk = os.read(running.process.stdout.fileno(), 65536)
        except BlockingIOError:  # read already, while a connection was tried
            return
        if not chunk:
            with contextlib.suppress(KeyError):
                self.selector.unregister(running.process.stdout)
            return
        now = time.monotonic_ns()
        self._log(running, chunk)
        *lines, running.rest = (running.rest + chunk).split(b"\n")
        if reader := READERS.get(running.service.kind):
            for line in lines:
                if seen := reader(name, line.decode(errors="replace")):
                    self.note(seen[0], t=now, **seen[1])

    def reap(self) -> None:
        """Notice processes that ended; orphans of theirs end up here too and must not stay as zombies."""
        for name in [n for n, r in self.running.items() if r.process.poll() is not None]:
            self._ended(name)
        known = {t.process.pid for t in self.tools.values()}
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in known:
                    break
                os.waitpid(ended.si_pid, 0)

    def _ended(self, name: str) -> None:
        running = self.running.pop(name)
        self._drain(running)
        running.log.close()
        self.note("process.ended", process=name, code=running.process.returncode)

    def _drain(self, running: Running) -> None:
        """Read what the process still said, then forget its pipe."""
        assert running.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(running.process.stdout.fileno(), 65536):
                self._log(running, chunk)
        with contextlib.suppress(KeyError):
            self.selector.unregister(running.process.stdout)
        running.process.stdout.close()

    @staticmethod
    def _log(running: Running, chunk: bytes) -> None:
        with contextlib.suppress(OSError):
            running.log.write(chunk)


def _has_peer(dial: socket.socket) -> bool:
    try:
        dial.getpeername()
    except OSError:  # refused, or no way there
        return False
    return True
