"""What PID 1 asks of the traffic director while it runs: to send no more reads to a region, and to send them again."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drills.targets.local.lab import Lab

# Relative to the lab's private tmpfs, where every process has its working directory, as the nodes' admin sockets.
SOCKET = Path("director.sock")
_TIMEOUT_S = 2.0
_NAME, _ADMIN_STATE = 3, 6
_DRAINED = 0x08
"""In ``srv_admin_state`` of HAProxy's ``show servers state``: drained by command (SRV_ADMF_FDRAIN)."""


def commands(lab: Lab) -> dict[str, Callable[..., Any]]:
    return {
        "drain": lambda region: drain(lab, region),
        "undrain": lambda region: lab.mends(_name(region)),
        "drained": drained,
    }


def drain(lab: Lab, region: str) -> None:
    """Have the director send no new reads to the nodes of a region; raises RuntimeError where it refuses."""
    nodes = lab.settings.plan.nodes[region]
    lab.breaks(_name(region), lambda: _set(nodes, "ready"))
    _set(nodes, "drain")


def drained() -> list[str]:
    """The nodes to which the director sends no reads because it was told so."""
    rows = [line.split() for line in _ask("show servers state reads").splitlines() if line and not line.startswith("#")]
    return [
        row[_NAME].replace(".", "/", 1) for row in rows if len(row) > _ADMIN_STATE and int(row[_ADMIN_STATE]) & _DRAINED
    ]


def _name(region: str) -> str:
    return f"the director sends no reads to {region}"


def _set(nodes: tuple[str, ...], state: str) -> None:
    for node in nodes:
        if answer := _ask(f"set server reads/{node.replace('/', '.')} state {state}").strip():
            raise RuntimeError(f"the traffic director refused to set {node} to {state}: {answer}")


def _ask(command: str) -> str:
    """The director's answer to one command of its runtime API; empty where it did as it was told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT_S)
        client.connect(str(SOCKET))
        client.sendall(command.encode() + b"\n")
        return client.makefile("rb").read().decode()
