"""Is what is recommended still good: recall on held-out users, paired with the baseline's own hits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from drills.measures.availability import Z_95
from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import in_phase, moments
from drills.measures.schedule import unobserved
from drills.record import Request, Timeline

STREAM = "quality"


@dataclass(frozen=True)
class Answer:
    """One held-out user asked once: recall then and in the baseline, both hits / expected."""

    user: str
    recall: float
    baseline: float


def baseline_hits(timeline: Timeline) -> dict[str, int]:
    """Question id ("q<i>") -> hits with nothing broken, from the last ``baseline.recorded``, if any."""
    recorded = [e for e in timeline.events if e.kind == "baseline.recorded"]
    hits = recorded[-1].data.get("quality") if recorded else None
    return {str(user): int(count) for user, count in hits.items()} if isinstance(hits, dict) else {}


def baseline_of(requests: list[Request], settings: Settings) -> dict[str, object]:
    """What ``baseline.recorded`` holds, from the requests of a quality pass with nothing broken.

    ``{"measures": {"recall_at_20": ...}, "quality": {"q0": hits, ...}}``, without users who got no answer.
    """
    hits: dict[str, int] = {}
    recalls: list[float] = []
    for request in sorted((r for r in requests if r.stream == STREAM), key=lambda r: r.t_scheduled):
        if request.id is not None and answered(request) and request.id not in hits:
            hits[request.id] = request.hits or 0
            recalls.append(paired(request, {}).recall)
    recall = sum(recalls) / len(recalls) if recalls else None
    return {"measures": {f"recall_at_{settings.quality_k}": recall}, "quality": hits}


def recall(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """Mean recall of the phase's answered quality requests, beside the baseline's on the same requests.

    Requests without an answer say nothing about quality (availability counts them). Unknown with fewer than
    ``min_users`` distinct users; without a baseline only the ratio is unknown.
    """
    name, at = key(f"recall_at_{settings.quality_k}", phase), moments(timeline)
    asked = [r for r in timeline.requests if r.stream == STREAM and in_phase(r, phase, at)]
    hits = baseline_hits(timeline)
    heard = [r for r in asked if answered(r) and (not hits or r.id in hits)]
    users = {r.id for r in heard}
    if len(users) < settings.min_users:
        return unknown(
            name,
            f"Only {len(users)} held-out users were answered in the phase '{phase}', {settings.min_users} are needed.",
        )
    answers = [paired(r, hits) for r in heard]
    return _recall_measure(name, answers, len(asked), unobserved(timeline, STREAM, phase, settings), bool(hits))


def _recall_measure(name: str, answers: list[Answer], asked: int, unseen: int, with_baseline: bool) -> Measure:
    count, got, was = len(answers), sum(a.recall for a in answers), sum(a.baseline for a in answers)
    mean, baseline = got / count, was / count if with_baseline else None
    error = _clustered_error(answers, lambda a: a.recall - mean, count)
    evidence: dict[str, object] = {
        "requests": asked,
        "answered": count,
        "users": len({a.user for a in answers}),
        "standard_error": error,
    }
    if baseline:
        ratio = got / was
        ratio_error = _clustered_error(answers, lambda a: a.recall - ratio * a.baseline, was)
        evidence |= {
            "ratio": ratio,
            "ratio_standard_error": ratio_error,
            "ratio_interval": [max(0.0, ratio - Z_95 * ratio_error), ratio + Z_95 * ratio_error],
        }
    return Measure(
        name=name,
        value=mean,
        unit="ratio",
        resolution=1 / count,
        interval=(max(0.0, mean - Z_95 * error), min(1.0, mean + Z_95 * error)),
        possible=_with_unseen(got, was, count, unseen, baseline),
        reason=f"{unseen} quality requests were not sent or not recorded." if unseen else None,
        evidence=evidence,
        baseline=baseline,
    )


def _with_unseen(got: float, was: float, count: int, unseen: int, baseline: float | None) -> tuple[float, float] | None:
    """The least and the most that recall and its ratio can be, whatever the unseen answers were."""
    if not unseen:
        return None
    low, high = got / (count + unseen), min(1.0, (got + unseen) / count)
    return (min(low, baseline * got / (was + unseen)) if baseline else low), high


def _clustered_error(answers: list[Answer], residual: Callable[[Answer], float], scale: float) -> float:
    """The standard error of a ratio of sums over requests that come in clusters of one user each.

    The linearised (Taylor) estimator: Cochran, Sampling Techniques, 6.3 and 9A.2.
    """
    by_user: dict[str, float] = defaultdict(float)
    for answer in answers:
        by_user[answer.user] += residual(answer)
    users = len(by_user)
    return sqrt(users / (users - 1) * sum(r * r for r in by_user.values())) / scale


def answered(request: Request) -> bool:
    """Whether the request brought a list that could be held against the left-out items."""
    return request.ok and request.hits is not None and bool(request.expected)


def paired(request: Request, hits: dict[str, int]) -> Answer:
    """The answer beside the baseline's; a user that the baseline does not know counts 0 there."""
    expected = request.expected or 1
    return Answer(request.id or "", (request.hits or 0) / expected, hits.get(request.id or "", 0) / expected)
