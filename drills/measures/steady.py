"""What a baseline holds: the steady measures, and every evaluation user's own hits and list."""

from __future__ import annotations

import numpy as np

from drills.measures.latency import STREAM as READS
from drills.measures.latency import quantile_ms
from drills.measures.model import Settings
from drills.measures.phases import SECOND
from drills.measures.quality import STREAM
from drills.recording.timeline import Requests

LEAST_READS = 100


def baseline_of(requests: Requests, settings: Settings, seconds: float | None = None) -> dict[str, object]:
    """What ``baseline.recorded`` holds, from the requests of a while with nothing broken.

    ``measures``: recall, p50_ms, p99_ms, availability, throughput_rps, only those observed; ``quality``: user -> hits
    and ``lists``: user -> ids, each from the first answer, without users who got none. ``seconds``: how long it took;
    None: from the first request that was due to the last answer.
    """
    hits, lists, recalls = _first_answers(requests, settings.quality_k)
    measures: dict[str, float] = {}
    if recalls:
        measures[f"recall_at_{settings.quality_k}"] = sum(recalls) / len(recalls)
    return {"measures": measures | _steady(requests, seconds), "quality": hits, "lists": lists}


def _first_answers(requests: Requests, k: int) -> tuple[dict[str, int], dict[str, list[str]], list[float]]:
    """Hits and list of each user's first answer, and the recall of each user with held-out items."""
    asked = requests.where(requests.stream.equals(STREAM) & requests.ok)
    asked = asked.where(np.argsort(asked.t_scheduled, kind="stable"))
    hits: dict[str, int] = {}
    lists: dict[str, list[str]] = {}
    recalls = []
    for answer in asked:
        if answer.id is None:
            continue
        if answer.items is not None:
            lists.setdefault(answer.id, answer.items[:k])
        if answer.hits is not None and answer.expected and answer.id not in hits:
            hits[answer.id] = answer.hits
            recalls.append(answer.hits / answer.expected)
    return hits, lists, recalls


def _steady(requests: Requests, seconds: float | None) -> dict[str, float]:
    sent = requests.where(requests.sent)
    if not len(sent):
        return {}
    if seconds is None:
        seconds = int(sent.t_done.max() - sent.t_scheduled.min()) / SECOND
    answered = int(np.count_nonzero(sent.ok))
    found: dict[str, float | None] = {
        "availability": answered / len(sent),
        "throughput_rps": answered / seconds if seconds > 0 else None,
    }
    reads = sent.where(sent.stream.equals(READS))
    if len(reads) >= LEAST_READS:
        took = reads.t_done - reads.t_scheduled
        found |= {"p50_ms": quantile_ms(took, reads, 0.5), "p99_ms": quantile_ms(took, reads, 0.99)}
    return {name: value for name, value in found.items() if value is not None}
