"""How the lab's PID 1 gives nodes other models than the lab's own, and takes them back.

A node that is started again gets the same artifact again: that is what is deployed on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drills.targets.base import CORRUPT_PREFIX

if TYPE_CHECKING:  # lab.py names this module's commands
    from drills.targets.local.lab import Lab

PREVIOUS = "previous"


def commands(lab: Lab) -> dict[str, Callable[..., Any]]:
    """What can be asked of PID 1 about artifacts."""
    return {
        "roll_out_previous": partial(roll_out_previous, lab),
        "roll_out_corrupt": partial(roll_out_corrupt, lab),
        "roll_back": partial(roll_back, lab),
    }


def roll_out_previous(lab: Lab, node: str) -> None:
    """Give ``node`` the release before the lab's own; raises RuntimeError where the bundle holds none."""
    previous = Path(lab.settings.bundle) / PREVIOUS
    if not previous.is_dir():
        raise RuntimeError(f"{lab.settings.bundle} holds no release before it: end the lab and start it again")
    _give(lab, node, previous, restart=False)


def roll_out_corrupt(lab: Lab, node: str, file: str, flips: int, restart: bool) -> None:
    """Give ``node`` a copy of the lab's bundle in which ``flips`` bytes of ``file`` are flipped."""
    lab.breaks(_what(node), partial(_take_back, lab, node))
    copy = _copy_of(lab, node)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(lab.settings.bundle, copy, ignore=shutil.ignore_patterns(PREVIOUS))
    flip(copy / file, flips)
    _give(lab, node, copy, restart=restart)


def roll_back(lab: Lab, node: str) -> None:
    """Give ``node`` the lab's own bundle again; nothing where it was given no other."""
    lab.mends(_what(node))


def flip(path: Path, count: int) -> None:
    """Invert ``count`` bytes, spread evenly over the file (all of a shorter one)."""
    content = bytearray(path.read_bytes())
    count = min(count, len(content))
    for i in range(count):
        content[(2 * i + 1) * len(content) // (2 * count)] ^= 0xFF
    path.unlink()  # perhaps a link to what others read
    path.write_bytes(content)


def _give(lab: Lab, node: str, artifact: Path, *, restart: bool) -> None:
    lab.breaks(_what(node), partial(_take_back, lab, node))
    lab.artifacts[node] = str(artifact)
    if restart:
        lab.restart_node(node)
    else:
        lab.admin(node, "/model/load", {"path": str(artifact)})


def _take_back(lab: Lab, node: str) -> None:
    """A node that is only starting may already have read what it was to serve: it starts anew."""
    lab.artifacts.pop(node, None)
    if node in lab.running:
        try:
            with lab.awake(node):
                lab.admin(node, "/model/load", {"path": lab.settings.bundle})
        except (FileNotFoundError, ConnectionRefusedError):
            lab.restart_node(node)
    shutil.rmtree(_copy_of(lab, node), ignore_errors=True)


def _what(node: str) -> str:
    return f"the model on {node}"


def _copy_of(lab: Lab, node: str) -> Path:
    return lab.settings.run / "artifacts" / f"{CORRUPT_PREFIX}{node.replace('/', '-')}"
