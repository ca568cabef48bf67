"""Looks at a target from outside that several faults share: who answers, who can be reached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx

from drills.faults.base import Evidence
from drills.targets.base import NODE_HEADER, Target


def node_silent(target: Target, node: str) -> Evidence:
    """Observed: a request from the edge straight to ``node`` got no answer from it."""
    if target.observe(node) is None:
        return Evidence(True, f"{node} no longer answers a request sent to it from the edge")
    return Evidence(False, f"{node} still answers requests sent to it from the edge")


def answer_degraded(target: Target, node: str) -> bool | None:
    """Whether ``node`` answers a recommendation asked of it from the edge as degraded; None without an answer."""
    headers = {NODE_HEADER: node}
    body = {"user": "recdr-look", "k": 5}
    try:
        answer = httpx.post(f"{target.deployment.ops_url}/v1/recommend", json=body, headers=headers, timeout=2.0)
    except httpx.HTTPError:
        return None
    degraded = answer.headers.get("X-Recsvc-Degraded")
    return None if answer.status_code != httpx.codes.OK or degraded is None else bool(degraded == "1")


def nodes_ready(target: Target, nodes: Iterable[str]) -> Evidence:
    """Observed: every one of ``nodes`` answers from the edge and says that it is ready."""
    missing = [node for node in nodes if not _ready(target.observe(node))]
    if missing:
        return Evidence(False, f"not ready yet, as seen from the edge: {', '.join(missing)}")
    return Evidence(True, "all nodes answer from the edge and are ready")


def _ready(state: dict[str, Any] | None) -> bool:
    return state is not None and bool(state.get("ready"))
