"""The two listeners of a node: sockets bound before anything is loaded, and uvicorn's servers over them."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from recsvc.connection import Limits, Turned, connection_class
from recsvc.exchange import Application

Address = tuple[str, int]
SPARE_FILES = 128
"""Descriptors that are not clients' connections: stores, Sentinels, files, libraries."""


@contextlib.contextmanager
def listeners(public_address: Address, admin_path: Path) -> Iterator[list[socket.socket]]:
    """Bind both sockets without listening yet: clients are refused, not kept waiting, until all is warm."""
    public = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    admin = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with public, admin:
        public.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(public, public_address)
        admin_path.unlink(missing_ok=True)  # a killed node leaves its own behind
        _bind(admin, str(admin_path))
        admin_path.chmod(0o600)  # before it listens: nobody else has been let in meanwhile
        try:
            yield [public, admin]
        finally:
            admin_path.unlink(missing_ok=True)


def _bind(listener: socket.socket, address: Address | str) -> None:
    try:
        listener.bind(address)
    except OSError as error:
        place = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        raise OSError(f"cannot listen on {place}: {error.strerror or error}") from error


def allow_files(connections: int) -> None:
    """Raise the soft limit of open files to what so many connections need, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


async def _by_protocol(scope: Any, receive: Any, send: Any) -> None:
    """uvicorn wants an application; requests go to ours from our own protocol, never through this one."""


class Server(uvicorn.Server):
    """Two of these share one process, so neither may take the signals for itself."""

    def __init__(self, application: Application, limits: Limits, context: ssl.SSLContext | None = None) -> None:
        self._turned = Turned()
        config = uvicorn.Config(
            _by_protocol,
            http=connection_class(limits, self._turned, application),
            interface="asgi3",  # ours is called by our own protocol alone
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # a line for each malformed request would let anybody fill the log
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
        super().__init__(config)

    def count(self) -> int:
        """Connections open now."""
        return len(self.server_state.connections)

    @property
    def turned(self) -> dict[str, int]:
        """Connections ended by a limit, by its name."""
        return {"too-many": self._turned.away, "too-slow": self._turned.slow, "malformed": self._turned.malformed}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
