"""How the lab's PID 1 breaks the accelerators of its nodes, and remembers how to mend them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # lab.py names this module's commands
    from drills.targets.local.lab import Lab


def commands(lab: Lab) -> dict[str, Callable[..., Any]]:
    """What can be asked of PID 1 about accelerators."""
    return {
        "fail_accelerator": partial(fail, lab),
        "hide": partial(hide, lab),
        "restore_accelerator": partial(restore, lab),
        "slow_accelerator": partial(slow, lab),
        "speed_accelerator": partial(speed, lab),
    }


def fail(lab: Lab, node: str, layer: str) -> None:
    """Let the accelerator of ``node`` fail at ``layer``: ``context``, ``hidden``, ``process`` or ``simulated``."""
    if layer == "hidden":
        hide(lab, node, sorted(map(str, Path("/dev").glob("nvidia*"))))
    else:
        lab.breaks(_failure(node), partial(_ask_if_up, lab, node, "/accelerator/restore", {}))
        lab.admin(node, "/accelerator/fail", {"layer": layer})


def hide(lab: Lab, node: str, paths: list[str]) -> None:
    """Restart ``node`` where it finds nothing at ``paths``; raises RuntimeError where there is nothing to hide."""
    if not paths:
        raise RuntimeError(f"there is no GPU to hide from {node}: no /dev/nvidia*")
    lab.breaks(_hiding(node), partial(_show, lab, node))
    lab.hidden[node] = tuple(paths)
    lab.restart_node(node)


def restore(lab: Lab, node: str) -> None:
    """Mend what ``fail`` broke; nothing where it broke nothing."""
    lab.mends(_failure(node))
    lab.mends(_hiding(node))


def slow(lab: Lab, node: str, delay_ms: float) -> None:
    """Let every run on the accelerator of ``node`` take ``delay_ms`` longer."""
    lab.breaks(_slowness(node), partial(_ask_if_up, lab, node, "/accelerator/slow", {"delay_ms": 0}))
    lab.admin(node, "/accelerator/slow", {"delay_ms": delay_ms})


def speed(lab: Lab, node: str) -> None:
    """Undo ``slow``; nothing where nothing was slowed down."""
    lab.mends(_slowness(node))


def _failure(node: str) -> str:
    return f"the accelerator of {node}"


def _hiding(node: str) -> str:
    return f"the accelerator of {node} is hidden from it"


def _slowness(node: str) -> str:
    return f"the speed of the accelerator of {node}"


def _show(lab: Lab, node: str) -> None:
    if lab.hidden.pop(node, None):
        lab.restart_node(node)


def _ask_if_up(lab: Lab, node: str, path: str, body: dict[str, Any]) -> None:
    """Ask a node that runs; one that does not, or is only starting, comes up unbroken by itself."""
    if node not in lab.running:
        return
    with lab.awake(node), contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        lab.admin(node, path, body)
