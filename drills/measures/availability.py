"""What clients got: the share of requests that succeeded, and how many reads and writes did not."""

from __future__ import annotations

from collections import Counter
from math import sqrt

from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import in_phase, moments
from drills.measures.schedule import PROBER_STREAMS, unobserved
from drills.record import Request, Timeline

Z_95 = 1.959964
_OPS = {"failed_reads": ("recommend", "search"), "failed_writes": ("event",)}
_STREAMS = {"failed_reads": ("probe_read", "quality"), "failed_writes": ("probe_write",)}


def availability(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """The share of all requests of the phase that were answered with a 2xx, with Wilson's 95 % interval."""
    name = key("availability", phase)
    asked = _seen(timeline, phase)
    if not asked:
        return unknown(name, f"No request was recorded in the phase '{phase}'.")
    ok, unseen = sum(r.ok for r in asked), _unseen(timeline, PROBER_STREAMS, phase, settings)
    return Measure(
        name=name,
        value=ok / len(asked),
        unit="ratio",
        resolution=1 / len(asked),
        interval=wilson(ok, len(asked)),
        possible=(ok / (len(asked) + unseen), (ok + unseen) / (len(asked) + unseen)) if unseen else None,
        reason=_reason(unseen),
        evidence={"requests": len(asked), "failed": len(asked) - ok, "errors": _errors(asked)},
    )


def failed_reads(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """How many recommendations and searches of the phase were not answered with a 2xx."""
    return _failed(timeline, settings, "failed_reads", phase)


def failed_writes(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """How many events of the phase were not answered with a 2xx."""
    return _failed(timeline, settings, "failed_writes", phase)


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Wilson's score interval (1927) for a proportion at 95 %; it stays within 0 and 1."""
    share, z2 = successes / total, Z_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _failed(timeline: Timeline, settings: Settings, name: str, phase: str) -> Measure:
    asked = [r for r in _seen(timeline, phase) if r.op in _OPS[name]]
    if not asked:
        return unknown(key(name, phase), f"No such request was recorded in the phase '{phase}'.")
    failed = sum(not r.ok for r in asked)
    unseen = _unseen(timeline, _STREAMS[name], phase, settings)
    return Measure(
        name=key(name, phase),
        value=failed + unseen,
        unit="requests",
        resolution=1,
        possible=(failed, failed + unseen) if unseen else None,
        reason=_reason(unseen),
        evidence={"requests": len(asked), "errors": _errors(asked)},
    )


def _seen(timeline: Timeline, phase: str) -> list[Request]:
    at = moments(timeline)
    return [r for r in timeline.requests if r.error != "not_sent" and in_phase(r, phase, at)]


def _unseen(timeline: Timeline, streams: tuple[str, ...], phase: str, settings: Settings) -> int:
    return sum(unobserved(timeline, stream, phase, settings) for stream in streams)


def _errors(asked: list[Request]) -> dict[str, int]:
    """How many failed for which reason; an HTTP error by its status."""
    kinds = Counter(f"http {r.status}" if r.status else r.error or "no answer" for r in asked if not r.ok)
    return dict(sorted(kinds.items()))


def _reason(unseen: int) -> str | None:
    if not unseen:
        return None
    return f"The fate of {unseen} probes was not recorded, so the true value lies in a range."
