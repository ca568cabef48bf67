"""The lab's PID 1: it builds the network, starts every process, and breaks and mends them on request.

``python -m drills.targets.local.lab SETTINGS`` enters new namespaces, and its child becomes PID 1 there. When PID 1
dies, for whatever reason, the kernel ends every process of the lab and takes down its network and mounts.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from drills.processes import die_with_parent
from drills.recording.record import EventWriter
from drills.targets.base import EDGE, REGIONS
from drills.targets.local import control, namespaces, services
from drills.targets.local.lease import Lease
from drills.targets.local.network import Network
from drills.targets.local.plan import MASTER_NAME, SENTINEL_PORT
from drills.targets.local.services import Service, Settings
from drills.targets.local.sightings import READERS

EXIT_FORBIDDEN = 77
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
class Lab:
    """Everything PID 1 knows. Requests are handled one after another; none waits for another process."""

    settings: Settings
    network: Network
    events: EventWriter
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    running: dict[str, Running] = field(default_factory=dict)
    tools: dict[str, Tool] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    wanted: list[str] = field(default_factory=list)
    broken: dict[str, Callable[[], None]] = field(default_factory=dict)
    unhealed: dict[str, str] = field(default_factory=dict)
    """What the last ``heal`` could not undo, and why."""
    lease: Lease = field(default_factory=Lease)
    stopped: bool = False
    listener: socket.socket | None = None

    def start(self, service: Service) -> None:
        """Start a process in its host's network; one that runs is left alone, one told to end is ended first."""
        if running := self.running.get(service.name):
            if not running.ending:
                return
            self.kill(service.name, signal.SIGKILL)
        process = self._spawn(service.argv, self.network.namespace(service.host), service.fds, subprocess.PIPE)
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

    def breaks(self, what: str, undo: Callable[[], None]) -> None:
        """Remember how to undo what is about to be broken, so that ``heal`` can; the first way is kept.

        Raises PermissionError where the lease of whoever breaks it has run out.
        """
        self.lease.must_not_be_expired()
        self.broken.setdefault(what, undo)

    def mends(self, what: str) -> None:
        """Undo what was broken under this name; nothing where it was not, or not any more."""
        if undo := self.broken.get(what):
            undo()
            self.broken.pop(what, None)

    def lose(self, region: str) -> None:
        """Power cut: the network goes first, so that nobody hears the connections close."""
        self.lease.must_not_be_expired()
        self.lost.add(region)
        for other in (EDGE, *REGIONS):
            if other != region:
                self.network.cut(f"{region}", other)
        for name in [n for n, r in self.running.items() if r.service.host.partition("/")[0] == region]:
            self.kill(name, signal.SIGKILL)

    def restore(self, region: str) -> None:
        """Power and network are back; the store joins as a replica of whoever is master now."""
        for other in (EDGE, *REGIONS):
            if other != region and other not in self.lost:
                self.network.mend(region, other)
        self.lost.discard(region)
        self.start_region(region)

    def start_region(self, region: str) -> None:
        """Start whatever of a region does not run."""
        if self.settings.plan.store(region) not in self.running:
            self.start(services.store(self.settings, region, self._master()))
        self.start(services.sentinel(self.settings, region))
        for name in self.settings.plan.nodes[region]:
            self.start_node(name)

    def start_node(self, name: str) -> None:
        """Start a node that does not run, unless its region has no power."""
        if name.partition("/")[0] not in self.lost:
            self.start(services.node(self.settings, name))

    def admin(self, node: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a fault command to a node's admin socket and return its answer; raises RuntimeError if refused."""
        if path == "/accelerator/fail":
            self.breaks(f"accelerator of {node}", partial(self._mend_accelerator, node))
        elif path == "/accelerator/restore":
            self.broken.pop(f"accelerator of {node}", None)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(3.0)
            client.connect(str(services.admin_socket(node)))
            content = json.dumps(body).encode()
            head = f"POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            client.sendall(head.encode() + content)
            answer = client.makefile("rb").read()
        head_, _, content = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head_.partition(b"\r\n")[0]:
            raise RuntimeError(f"{node} refused {path}: {content.decode(errors='replace')}")
        return {"node": node}

    def _mend_accelerator(self, node: str) -> None:
        """After a real loss only a new process has a usable context; one that does not run is started anyway."""
        if self.settings.accelerator == "cuda":
            self.kill(node, signal.SIGKILL)
        elif node in self.running:
            self.admin(node, "/accelerator/restore", {})

    def run_tool(self, name: str, argv: list[str]) -> None:
        """Run ``python -m argv`` at the router, from where every host can be reached."""
        output = self.settings.logs / f"{name}.log"
        with output.open("ab") as log:
            process = self._spawn((sys.executable, "-P", "-m", *argv), None, (), log)
        self.tools[name] = Tool(process, output)

    def tool(self, name: str) -> dict[str, Any]:
        """Whether a tool still runs, how it ended, and its last words."""
        tool = self.tools[name]
        tool.code = tool.process.poll()  # asked for often, so a tool that ended is not a zombie for long
        return {"code": tool.code, "output": tool.output.read_text(errors="replace")[-2000:]}

    def status(self) -> dict[str, Any]:
        """What runs, what is cut, what is lost."""
        return {
            "processes": {name: name in self.running for name in self.wanted},
            "cuts": sorted(self.network.cuts),
            "lost": sorted(self.lost),
            "broken": sorted(self.broken),
            "unhealed": self.unhealed,
        }

    def heal(self) -> dict[str, Any]:
        """Undo everything, the latest first: what was broken by name, power, partitions, processes that do not run.

        One that cannot be undone does not keep the others from it. Returns what was ``healed`` and what is
        ``unhealed``, with the error; the latter stays in ``status`` until a later ``heal`` undoes it.
        """
        self.unhealed, healed = {}, []
        for what, undo in self._undoings():
            try:
                undo()
            except Exception as error:
                self.unhealed[what] = f"{type(error).__name__}: {error}"
            else:
                healed.append(what)
        for region in REGIONS:
            try:
                self._resume(region)
            except Exception as error:
                self.unhealed[f"the processes of {region}"] = f"{type(error).__name__}: {error}"
        return {"healed": healed, "unhealed": self.unhealed}

    def _undoings(self) -> list[tuple[str, Callable[[], object]]]:
        """Everything that is broken, in the order in which it is to be undone."""
        named = [(what, partial(self.mends, what)) for what in list(self.broken)[::-1]]
        lost = [(f"loss of {region}", partial(self.restore, region)) for region in sorted(self.lost)]
        cuts = [(f"cut between {a} and {b}", partial(self.network.mend, a, b)) for a, b in sorted(self.network.cuts)]
        return [*named, *lost, *cuts]

    def _resume(self, region: str) -> None:
        """Wake whatever of a region was stopped, and start what does not run."""
        plan = self.settings.plan
        for name in (*plan.nodes[region], plan.store(region), f"{region}/sentinel"):
            self.kill(name, signal.SIGCONT)
        self.start_region(region)

    def check_lease(self) -> None:
        """Heal everything if whoever may break things has not been heard from in time; end a lab that is forgotten."""
        if lapsed := self.lease.runs_out():
            done = self.heal()
            with contextlib.suppress(OSError):  # a full disk
                self.events.write("guard.lease_expired", **lapsed, **done)
        if self.settings.ephemeral and self.lease.forgotten():
            self.stopped = True

    def serve(self) -> None:
        """Answer requests and read logs until told to stop."""
        self.listener = listener = socket.socket(fileno=self.settings.control_fd)
        self.selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        self.selector.register(self.settings.deployer_fd, selectors.EVENT_READ, self._stop)
        while not self.stopped:
            for key, _ in self.selector.select(timeout=0.5):
                key.data()
            self._reap()
            self.check_lease()

    def reachable(self, source: str, destination: str) -> bool:
        """Whether a TCP connection from ``source`` to ``destination`` opens within 0.3 s.

        Logs are read meanwhile: a line that waits gets a later time, and a drill asks this just while things happen.
        """
        with self.network.dial(source, destination) as dial:
            self.selector.register(dial, selectors.EVENT_WRITE)
            try:
                return self._connected(dial, time.monotonic() + REACHABLE_S)
            finally:
                self.selector.unregister(dial)

    def _connected(self, dial: socket.socket, deadline: float) -> bool:
        while (left := deadline - time.monotonic()) > 0:
            waiting = [key for key, _ in self.selector.select(timeout=left) if key.fileobj is not self.listener]
            if any(key.fileobj is dial for key in waiting):
                return _has_peer(dial)
            for key in waiting:
                key.data()
            if not waiting:  # only the next caller, who has to wait
                time.sleep(min(left, 0.005))
        return False

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            if not control.is_owner(connection):
                return
            try:
                request = control.receive(connection)
                result = self._commands()[request.pop("do")](**request)
            except Exception as error:
                control.reply(connection, error=f"{type(error).__name__}: {error}")
            else:
                control.reply(connection, result=result)

    def _commands(self) -> dict[str, Callable[..., Any]]:
        return {
            "status": self.status,
            "cut": self._cut,
            "mend": self.network.mend,
            "reachable": self.reachable,
            "kill": self._signal,
            "start_node": self.start_node,
            "lose": self.lose,
            "restore": self.restore,
            "admin": self.admin,
            "run_tool": self.run_tool,
            "tool": self.tool,
            "heal": self.heal,
            "lease": self.lease.renew,
            "release": self.lease.release,
            "stay": self._stay,
            "stop": self._stop,
        }

    def _cut(self, a: str, b: str) -> None:
        self.lease.must_not_be_expired()
        self.network.cut(a, b)

    def _signal(self, name: str, number: int) -> None:
        if number != signal.SIGCONT:
            self.lease.must_not_be_expired()
        self.kill(name, number)

    def _stay(self) -> None:
        """Deployed: from now on the lab may outlive whoever deployed it."""
        with contextlib.suppress(KeyError):
            self.selector.unregister(self.settings.deployer_fd)
            os.close(self.settings.deployer_fd)

    def _stop(self) -> None:
        self.stopped = True

    def _spawn(
        self, argv: tuple[str, ...], network: int | None, fds: tuple[int, ...], output: Any
    ) -> subprocess.Popen[bytes]:
        def enter() -> None:
            if network is not None:
                namespaces.enter_network(network)

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

    def _master(self) -> str:
        """The region whose store the witness calls the master; the primary where the witness cannot be asked."""
        address = _ask_sentinel(self.settings.plan.sentinels()[EDGE])
        plan = self.settings.plan
        return next((r for r in REGIONS if plan.host(plan.store(r)).address == address), "primary")

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
        running.log.write(chunk)
        *lines, running.rest = (running.rest + chunk).split(b"\n")
        if reader := READERS.get(running.service.kind):
            for line in lines:
                if seen := reader(name, line.decode(errors="replace")):
                    self.events.write(seen[0], t=now, **seen[1])

    def _reap(self) -> None:
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
        self.events.write("process.ended", process=name, code=running.process.returncode)

    def _drain(self, running: Running) -> None:
        """Read what the process still said, then forget its pipe."""
        assert running.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(running.process.stdout.fileno(), 65536):
                running.log.write(chunk)
        with contextlib.suppress(KeyError):
            self.selector.unregister(running.process.stdout)
        running.process.stdout.close()


def _has_peer(dial: socket.socket) -> bool:
    try:
        dial.getpeername()
    except OSError:  # refused, or no way there
        return False
    return True


def _ask_sentinel(address: str) -> str:
    """The master's address by one inline command; empty where nobody answers within 0.5 s."""
    try:
        with socket.create_connection((address, SENTINEL_PORT), timeout=0.5) as connection:
            connection.sendall(f"SENTINEL get-master-addr-by-name {MASTER_NAME}\r\n".encode())
            return connection.recv(256).split(b"\r\n")[2].decode()
    except (OSError, IndexError):
        return ""


def main() -> NoReturn:
    """Enter the namespaces and become the lab."""
    raw = json.loads(Path(sys.argv[1]).read_text())
    settings = Settings(**raw)
    if settings.ephemeral:
        die_with_parent()
    try:
        namespaces.become_root()
    except OSError as error:
        print(f"namespaces: {error}", file=sys.stderr)  # noqa: T201 - the parent reads it from the log
        sys.exit(EXIT_FORBIDDEN)
    child = os.fork()
    if child == 0:
        _be_pid_one(settings)
    for fd in (settings.edge_fd, settings.ops_fd, settings.control_fd, settings.deployer_fd):
        os.close(fd)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _be_pid_one(settings: Settings) -> NoReturn:
    """Set everything up and serve; never returns."""
    die_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    namespaces.private_mounts()
    namespaces.mount("proc", Path("/proc"))
    namespaces.mount("tmpfs", settings.run, "size=2g,mode=700")
    os.chdir(settings.run)
    key = services.key_file(settings)
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    events = EventWriter(Path(settings.lab_dir) / "events.jsonl")
    lab = Lab(settings, Network(settings.plan), events)
    for service in services.services(settings):
        lab.wanted.append(service.name)
        lab.start(service)
    lab.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
