"""PID 1 goes on reading logs while it tries a connection: what it sees must have its own time, not that of the wait."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from drills.recording.record import EventWriter, read_events
from drills.targets.local.household import REACHABLE_S
from drills.targets.local.lab import Lab
from drills.targets.local.network import Network
from drills.targets.local.services import Service
from tests.targets.test_plan import settings

DOWN = "Server reads/primary.node-1 is DOWN, reason: none"


class Loopback:
    """Stands for the lab's network, which needs namespaces: every place is one port of this host."""

    def __init__(self, port: int) -> None:
        self.port = port

    def namespace(self, host: str) -> None:
        return None

    def dial(self, source: str, destination: str) -> socket.socket:
        dial = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        dial.connect_ex(("127.0.0.1", self.port))
        return dial


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that answers no connection attempt: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            filler.connect_ex(("127.0.0.1", port))
        yield port


def lab_on(port: int, tmp_path: Path) -> Lab:
    for folder in ("run", "logs"):
        (tmp_path / folder).mkdir()
    network: Any = Loopback(port)
    return Lab(settings(tmp_path), cast("Network", network), EventWriter(tmp_path / "events.jsonl"))


def director() -> Service:
    """A process that says once that it took a server out."""
    script = f"import time; print({DOWN!r}, flush=True); time.sleep(60)"
    return Service("edge/haproxy", "edge", "haproxy", (sys.executable, "-S", "-c", script))


def test_a_line_said_during_a_try_is_read_during_it(silent_port: int, tmp_path: Path) -> None:
    lab = lab_on(silent_port, tmp_path)
    lab.start(director())
    try:
        for _ in range(30):  # until the process is up; a try reads whatever it has said
            assert not lab.reachable("edge", "primary")
            if seen := read_events(tmp_path / "events.jsonl"):
                break
        assert [event.kind for event in seen] == ["edge.server"], "nobody but a try has read here"
        lab._read("edge/haproxy")  # as the loop does with what was ready before the try
    finally:
        lab.kill("edge/haproxy", 9)


def test_an_open_port_is_reachable_and_a_closed_one_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lab = lab_on(listener.getsockname()[1], tmp_path)
        assert lab.reachable("edge", "primary")
    begin = time.monotonic()
    assert not lab.reachable("edge", "primary")
    assert time.monotonic() - begin < REACHABLE_S, "a refusal needs no waiting"
