"""Is what is recommended still good: recall on held-out users, paired with the baseline's own hits."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from drills.measures.availability import Z_95
from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import in_phase, stream_of
from drills.measures.schedule import Floats, unobserved
from drills.recording.timeline import NONE, Chosen, Flags, Requests, Timeline

STREAM = "quality"


@dataclass(frozen=True, eq=False)
class Answers:
    """Held-out users asked once each; all columns [n].

    ``user`` numbers the users, ``recall`` is hits / expected then, ``baseline`` in the baseline (0 for a user that it
    does not know); ``answered``: whether there was a list to count in, ``paired``: whether the baseline knows the user.
    """

    user: npt.NDArray[np.int64]
    answered: Flags
    paired: Flags
    recall: Floats
    baseline: Floats

    def __len__(self) -> int:
        return len(self.user)

    def where(self, rows: Chosen) -> Answers:
        return Answers(self.user[rows], self.answered[rows], self.paired[rows], self.recall[rows], self.baseline[rows])


def answers_of(requests: Requests, hits: dict[str, int]) -> Answers:
    """The answers to quality requests beside the baseline's ``hits`` (question id -> hits)."""
    names, user = users_of(requests)
    known = np.array([hits.get(name, NONE) for name in names], dtype=np.int64)[user]
    expected = np.where(requests.expected > 0, requests.expected, 1)
    return Answers(
        user=user,
        answered=requests.ok & (requests.hits != NONE) & (requests.expected > 0),
        paired=known != NONE,
        recall=np.maximum(requests.hits, 0) / expected,
        baseline=np.maximum(known, 0) / expected,
    )


def users_of(requests: Requests) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The ids of the requests without repetition, and which of them each request has. [n]"""
    coded = pc.fill_null(requests.ids, "").combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), np.asarray(coded.indices.to_numpy(), np.int64)


def baseline_hits(timeline: Timeline) -> dict[str, int]:
    """Question id ("q<i>") -> hits with nothing broken, from the last ``baseline.recorded``, if any."""
    hits = recorded_baseline(timeline).get("quality")
    return {str(user): int(count) for user, count in hits.items()} if isinstance(hits, dict) else {}


def knows_right_answers(timeline: Timeline) -> bool:
    """Whether an evaluation user has held-out items, as the baseline or an answer tells."""
    return bool(baseline_hits(timeline)) or bool((timeline.requests.expected > 0).any())


def recorded_baseline(timeline: Timeline) -> dict[str, object]:
    """The data of the last ``baseline.recorded``; empty where there is none."""
    return next((e.data for e in reversed(timeline.events) if e.kind == "baseline.recorded"), {})


def recall(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """Mean recall of the phase's answered quality requests, beside the baseline's on the same requests.

    Requests without an answer say nothing about quality (availability counts them). Unknown with fewer than
    ``min_users`` distinct users; without a baseline only the ratio is unknown.
    """
    name, hits = key(f"recall_at_{settings.quality_k}", phase), baseline_hits(timeline)
    chosen = in_phase(timeline, phase)[timeline.requests.stream.equals(STREAM)]
    asked = answers_of(stream_of(timeline, STREAM).where(chosen), hits)
    heard = asked.where(asked.answered & asked.paired if hits else asked.answered)
    users = len(np.unique(heard.user))
    if users < settings.min_users:
        return unknown(
            name,
            f"Only {users} held-out users were answered in the phase '{phase}', {settings.min_users} are needed.",
        )
    return _recall_measure(name, heard, len(asked), unobserved(timeline, STREAM, phase, settings), bool(hits))


def _recall_measure(name: str, answers: Answers, asked: int, unseen: int, with_baseline: bool) -> Measure:
    count, got, was = len(answers), float(answers.recall.sum()), float(answers.baseline.sum())
    mean, baseline = got / count, was / count if with_baseline else None
    error = clustered_error(answers.user, answers.recall - mean, count)
    evidence: dict[str, object] = {
        "requests": asked,
        "answered": count,
        "users": len(np.unique(answers.user)),
        "standard_error": error,
    }
    if baseline:
        ratio = got / was
        ratio_error = clustered_error(answers.user, answers.recall - ratio * answers.baseline, was)
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


def clustered_error(user: npt.NDArray[np.int64], residual: Floats, scale: float) -> float:
    """The standard error of a ratio of sums over requests that come in clusters of one user each; 0 for one user.

    The linearised (Taylor) estimator: Cochran, Sampling Techniques, 6.3 and 9A.2.
    """
    _, place = np.unique(user, return_inverse=True)
    by_user = np.bincount(place, weights=residual)
    users = len(by_user)
    return sqrt(users / (users - 1) * float((by_user**2).sum())) / scale if users > 1 else 0.0
