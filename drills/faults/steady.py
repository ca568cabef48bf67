"""Steady-state probes that a drill file can name; they look through the edge, as a client does."""

from __future__ import annotations

from dataclasses import replace

from drills.targets.looking import look
from drills.targets.registry import attach


def serving() -> bool:
    """True when a read and, where the service has one, a search through the edge are both answered within 2 s."""
    edge_alone = replace(attach().deployment, doors={})
    return all(seen.error is None for seen in look(edge_alone, ("recommend", "search")).values())
