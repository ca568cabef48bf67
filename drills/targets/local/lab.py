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
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from drills.processes import die_with_parent
from drills.recording.record import EventWriter
from drills.targets.base import EDGE, REGIONS
from drills.targets.local import accelerators, artifacts, control, director, namespaces, services
from drills.targets.local.household import Household
from drills.targets.local.lease import Lease
from drills.targets.local.network import Network
from drills.targets.local.nodes import Nodes
from drills.targets.local.plan import MASTER_NAME, SENTINEL_PORT
from drills.targets.local.services import Settings
from drills.targets.local.stores import Stores
from drills.targets.local.wan import Wan

TURN_S = 0.1


@dataclass
class Lab(Household):
    """Everything PID 1 knows. Requests are handled one after another; none waits for another process."""

    lost: set[str] = field(default_factory=set)
    wanted: list[str] = field(default_factory=list)
    broken: dict[str, Callable[[], None]] = field(default_factory=dict)
    turns: list[Callable[[], None]] = field(default_factory=list)
    unhealed: dict[str, str] = field(default_factory=dict)
    """What the last ``heal`` could not undo, and why."""
    lease: Lease = field(default_factory=Lease)
    artifacts: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    wan: Wan = field(init=False)

    def __post_init__(self) -> None:
        self.nodes, self.stores, self.wan = Nodes(self), Stores(self), Wan(self)

    def breaks(self, what: str, undo: Callable[[], None]) -> None:
        """Remember how to undo what is about to be broken, so that ``heal`` can; the first way is kept.

        Raises PermissionError where the lease of whoever breaks it has run out.
        """
        self.lease.must_not_be_expired()
        self.broken.setdefault(what, undo)

    def mends(self, what: str) -> None:
        """Undo what was broken under this name; nothing where it was not, or not any more."""
        if undo := self.broken.pop(what, None):
            try:
                undo()
            except BaseException:
                self.broken.setdefault(what, undo)
                raise

    def wake(self, name: str) -> None:
        """Let a process go on that was stopped, unless a fault that is still in force stops it."""
        if f"{name} paused" not in self.broken:
            self.kill(name, signal.SIGCONT)

    @contextlib.contextmanager
    def awake(self, name: str) -> Iterator[None]:
        """In the block a process goes on even if a fault stops it: it must be told something."""
        self.kill(name, signal.SIGCONT)
        try:
            yield
        finally:
            if f"{name} paused" in self.broken:
                self.kill(name, signal.SIGSTOP)

    def lose(self, region: str) -> None:
        """Power cut: the network goes first, so that nobody hears the connections close."""
        self.lease.must_not_be_expired()
        self.lost.add(region)
        for other in (EDGE, *REGIONS):
            if other != region:
                self.network.cut(region, other, why=f"power of {region}")
        for name in [n for n, r in self.running.items() if r.service.host.partition("/")[0] == region]:
            self.kill(name, signal.SIGKILL)

    def restore(self, region: str) -> None:
        """Power and network are back; the store joins as a replica of whoever is master now."""
        for other in (EDGE, *REGIONS):
            if other != region:
                self.network.mend(region, other, why=f"power of {region}")
        self.lost.discard(region)
        for name in (*self.settings.plan.nodes[region], self.settings.plan.store(region)):
            for held in (f"{name} killed", f"{name} paused"):  # whatever was so with its processes ended with the power
                self.mends(held)
        self.start_region(region)

    def start_region(self, region: str) -> None:
        """Start whatever of a region does not run."""
        self.start_store(region)
        self.start(services.sentinel(self.settings, region))
        for name in self.settings.plan.nodes[region]:
            self.start_node(name)

    def start_store(self, region: str) -> None:
        """Start a store that does not run, as a replica of whoever is master now.

        Not one whose region has no power, nor one that a fault which is still in force has killed.
        """
        name = self.settings.plan.store(region)
        if region not in self.lost and name not in self.running and f"{name} killed" not in self.broken:
            self.start(services.store(self.settings, region, self._master()))

    def start_node(self, name: str, *, by_supervisor: bool = False) -> None:
        """Start a node that does not run, unless its region has no power.

        One that a fault still in force has killed is started only by the supervisor that this fault gave it.
        """
        killed = f"{name} killed" in self.broken and not by_supervisor
        if name.partition("/")[0] not in self.lost and not killed:
            self.start(services.node(self.settings, name, self.artifacts.get(name)))

    def restart_node(self, name: str) -> None:
        """End a node at once and start it, with what is hidden from it and what it is to serve by now."""
        self.kill(name, signal.SIGKILL)
        self.start_node(name)

    def status(self) -> dict[str, Any]:
        """What runs, what is cut, what is lost."""
        return {
            "processes": {name: name in self.running for name in self.wanted},
            "cuts": sorted(self.network.cuts),
            "lost": sorted(self.lost),
            "broken": sorted(self.broken),
            "torn": self.stores.rewritable(),
            "held_by": self.lease.held_by(),
            "unhealed": self.unhealed,
        }

    def heal(self) -> dict[str, Any]:
        """Undo everything, the latest first: what was broken by name, power, processes that do not run.

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
        self.stores.mend_files()
        return {"healed": healed, "unhealed": self.unhealed}

    def _undoings(self) -> list[tuple[str, Callable[[], object]]]:
        """Everything that is broken, in the order in which it is to be undone."""
        named = [(what, partial(self.mends, what)) for what in list(self.broken)[::-1]]
        lost = [(f"loss of {region}", partial(self.restore, region)) for region in sorted(self.lost)]
        return [*named, *lost]

    def _resume(self, region: str) -> None:
        """Wake whatever of a region was stopped, and start what does not run."""
        plan = self.settings.plan
        for name in (*plan.nodes[region], plan.store(region), f"{region}/sentinel"):
            self.wake(name)
        self.start_region(region)

    def check_lease(self) -> None:
        """Heal everything if whoever may break things has not been heard from in time; end a lab that is forgotten."""
        if lapsed := self.lease.runs_out():
            done = self.heal()
            self.note("guard.lease_expired", **lapsed, **done)
        if self.settings.ephemeral and self.lease.forgotten():
            self.stopped = True

    def serve(self) -> None:
        """Answer requests and read logs until told to stop; ``turns`` are taken between, at least every 0.1 s."""
        self.listener = listener = socket.socket(fileno=self.settings.control_fd)
        self.selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        self.selector.register(self.settings.deployer_fd, selectors.EVENT_READ, self._stop)
        while not self.stopped:
            ready = self.selector.select(timeout=TURN_S)
            begin = time.monotonic()
            for key, _ in ready:
                key.data()
            self.reap()
            for turn in self.turns:
                turn()
            self.lease.lengthen(time.monotonic() - begin)  # a renewal may have waited meanwhile
            self.check_lease()

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
            **self.wan.commands(),
            **director.commands(self),
            "reachable": self.reachable,
            "kill": self._signal,
            "start_node": self.start_node,
            "lose": self.lose,
            "restore": self.restore,
            **accelerators.commands(self),
            **artifacts.commands(self),
            "run_tool": self.run_tool,
            "tool": self.tool,
            "heal": self.heal,
            **self.nodes.commands(),
            **self.stores.commands(),
            "lease": self.lease.renew,
            "release": self.lease.release,
            "stay": self._stay,
            "stop": self._stop,
        }

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

    def _master(self) -> str:
        """The region whose store the witness calls the master; the primary where the witness cannot be asked."""
        address = _ask_sentinel(self.settings.plan.sentinels()[EDGE])
        plan = self.settings.plan
        return next((r for r in REGIONS if plan.host(plan.store(r)).address == address), "primary")


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
        sys.exit(control.EXIT_FORBIDDEN)
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
    lab.stores.mount_disks()
    for service in services.services(settings):
        lab.wanted.append(service.name)
        lab.start(service)
    lab.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
