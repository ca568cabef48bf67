"""Looks at a target from outside that several faults share: who answers, who can be reached."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from drills.faults.base import Evidence
from drills.targets.base import NODE_HEADER, Target


def node_silent(target: Target, node: str) -> Evidence:
    """Observed: a request from the edge straight to ``node`` got no answer from it."""
    if target.observe(node) is None:
        return Evidence(True, f"{node} no longer answers a request sent to it from the edge")
    return Evidence(False, f"{node} still answers requests sent to it from the edge")


@dataclass(frozen=True)
class NodeAnswer:
    """A node's answer to a recommendation asked of it from the edge; ``model`` is the version that it names."""

    status: int
    took_s: float
    degraded: bool | None
    model: str | None

    @property
    def ok(self) -> bool:
        return self.status == httpx.codes.OK


def ask_node(target: Target, node: str) -> NodeAnswer | None:
    """Ask ``node`` for a recommendation from the edge, past the traffic director's choice; None without an answer."""
    headers, body, begin = {NODE_HEADER: node}, {"user": "recdr-look", "k": 5}, time.monotonic()
    try:
        answer = httpx.post(f"{target.deployment.ops_url}/v1/recommend", json=body, headers=headers, timeout=2.0)
    except httpx.HTTPError:
        return None
    degraded = answer.headers.get("X-Recsvc-Degraded")
    return NodeAnswer(
        status=answer.status_code,
        took_s=time.monotonic() - begin,
        degraded=None if degraded is None else bool(degraded == "1"),
        model=answer.headers.get("X-Recsvc-Model"),
    )


def answer_degraded(target: Target, node: str) -> bool | None:
    """Whether ``node`` answers a recommendation asked of it from the edge as degraded; None without an answer."""
    answer = ask_node(target, node)
    return answer.degraded if answer is not None and answer.ok else None


def all_of(seen: Iterable[Evidence]) -> Evidence:
    """Observed where every one is, with all their texts; else the first that is not."""
    seen = list(seen)
    missing = next((evidence for evidence in seen if not evidence.observed), None)
    return missing or Evidence(True, "; ".join(evidence.text for evidence in seen))


def nodes_ready(target: Target, nodes: Iterable[str]) -> Evidence:
    """Observed: every one of ``nodes`` answers from the edge and says that it is ready."""
    missing = [node for node in nodes if not _ready(target.observe(node))]
    if missing:
        return Evidence(False, f"not ready yet, as seen from the edge: {', '.join(missing)}")
    return Evidence(True, "all nodes answer from the edge and are ready")


def _ready(state: dict[str, Any] | None) -> bool:
    return state is not None and bool(state.get("ready"))
