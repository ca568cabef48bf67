"""What clients got: the share of requests that succeeded, and how many reads and writes did not."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np

from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import in_phase
from drills.measures.schedule import PROBER_STREAMS, unobserved
from drills.recording.timeline import Flags, Timeline

Z_95 = 1.959964
_OPS = {"failed_reads": ("recommend", "search"), "failed_writes": ("event",)}
_STREAMS = {"failed_reads": ("probe_read", "quality"), "failed_writes": ("probe_write",)}


def availability(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """The share of all requests of the phase that succeeded, with Wilson's 95 % interval."""
    name = key("availability", phase)
    seen = _seen(timeline, phase)
    if not (asked := int(np.count_nonzero(seen))):
        return unknown(name, f"No request was recorded in the phase '{phase}'.")
    ok, unseen = int(np.count_nonzero(timeline.requests.ok & seen)), _unseen(timeline, PROBER_STREAMS, phase, settings)
    return Measure(
        name=name,
        value=ok / asked,
        unit="ratio",
        resolution=1 / asked,
        interval=wilson(ok, asked),
        possible=(ok / (asked + unseen), (ok + unseen) / (asked + unseen)) if unseen else None,
        reason=_reason(unseen),
        evidence={"requests": asked, "failed": asked - ok, "errors": _errors(timeline, seen)},
    )


def failed_reads(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """How many recommendations and searches of the phase did not succeed."""
    return _failed(timeline, settings, "failed_reads", phase)


def failed_writes(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """How many events of the phase did not succeed."""
    return _failed(timeline, settings, "failed_writes", phase)


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Wilson's score interval (1927) for a proportion at 95 %; it stays within 0 and 1."""
    share, z2 = successes / total, Z_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _failed(timeline: Timeline, settings: Settings, name: str, phase: str) -> Measure:
    seen = _seen(timeline, phase) & timeline.requests.op.equals(*_OPS[name])
    if not (asked := int(np.count_nonzero(seen))):
        return unknown(key(name, phase), f"No such request was recorded in the phase '{phase}'.")
    failed = int(np.count_nonzero(seen & ~timeline.requests.ok))
    unseen = _unseen(timeline, _STREAMS[name], phase, settings)
    return Measure(
        name=key(name, phase),
        value=failed + unseen,
        unit="requests",
        resolution=1,
        possible=(failed, failed + unseen) if unseen else None,
        reason=_reason(unseen),
        evidence={"requests": asked, "errors": _errors(timeline, seen)},
    )


def _seen(timeline: Timeline, phase: str) -> Flags:
    return timeline.requests.sent & in_phase(timeline, phase)


def _unseen(timeline: Timeline, streams: tuple[str, ...], phase: str, settings: Settings) -> int:
    return sum(unobserved(timeline, stream, phase, settings) for stream in streams)


def _errors(timeline: Timeline, seen: Flags) -> dict[str, int]:
    """How many failed for which reason; an HTTP error by its status, a wrong answer by what was wrong with it."""
    failed = timeline.requests.where(seen & ~timeline.requests.ok)
    pairs, counts = np.unique(np.stack([failed.status, failed.error.codes]), axis=1, return_counts=True)
    kinds: Counter[str] = Counter()
    for status, code, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        error = None if code < 0 else failed.error.names[code]
        answered_wrongly = 200 <= status < 300 and error is not None
        kinds[f"http {status}" if status and not answered_wrongly else error or "no answer"] += count
    return dict(sorted(kinds.items()))


def _reason(unseen: int) -> str | None:
    if not unseen:
        return None
    return f"The fate of {unseen} probes was not recorded, so the true value lies in a range."
