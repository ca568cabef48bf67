"""The parts of a node that its endpoints work with."""

from __future__ import annotations

from dataclasses import dataclass

from recsvc.metrics import Metrics
from recsvc.pseudonym import Pseudonymiser
from recsvc.resp import Link
from recsvc.responses import Responses
from recsvc.rollout import Rollout
from recsvc.watch import Watch
from recsvc.writer import Writer


@dataclass(frozen=True)
class Identity:
    """Who answers."""

    region: str
    node: str


@dataclass(frozen=True)
class Parts:
    """What a node is made of; see `recsvc.server` for how it is put together."""

    identity: Identity
    rollout: Rollout
    pseudonym: Pseudonymiser
    store: Link
    watch: Watch
    writer: Writer
    metrics: Metrics
    deadline_s: float
    responses: Responses | None = None
    """Answers that are kept for identical requests; None where each is computed."""
