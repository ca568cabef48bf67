"""Log lines of the lab's processes that say when something happened, turned into timeline events."""

from __future__ import annotations

import re
from typing import Any

Sighting = tuple[str, dict[str, Any]]

_SERVER = re.compile(r"^(?:Backup )?Server (reads|writes)/(\S+) is (UP|DOWN)(.*)$")
_PROMOTED = re.compile(r"(?:MASTER|PRIMARY) MODE enabled")  # Valkey says PRIMARY, Redis MASTER
_SWITCH = re.compile(r"\+switch-master \S+ (\S+) \d+ (\S+) \d+")


def from_haproxy(service: str, line: str) -> Sighting | None:
    """The traffic director marked a server up or down."""
    if not (match := _SERVER.match(line)):
        return None
    backend, label, state, why = match.groups()
    node = label.replace(".", "/", 1)
    return "edge.server", {
        "backend": backend,
        "server": label,
        "node": node,
        "region": node.partition("/")[0],
        "up": state == "UP",
        "why": why.strip(" ,."),
    }


def from_store(service: str, line: str) -> Sighting | None:
    """A store became the master."""
    if _PROMOTED.search(line):
        return "store.promoted", {"region": service.partition("/")[0]}
    return None


def from_sentinel(service: str, line: str) -> Sighting | None:
    """A Sentinel learnt of a new master."""
    if match := _SWITCH.search(line):
        return "sentinel.switched", {"site": service.partition("/")[0], "master": match.group(2)}
    return None


READERS = {"haproxy": from_haproxy, "store": from_store, "sentinel": from_sentinel}
