"""How long reads took, from the moment they were due: percentiles with distribution-free intervals."""

from __future__ import annotations

import math

import numpy as np

from drills.measures.lateness import fell_behind
from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import in_phase, stream_of
from drills.measures.schedule import Floats, Stalls, latency_s, stalled_s, stalls_of, unobserved
from drills.recording.timeline import Requests, Timeline

STREAM = "probe_read"


def p50(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """Median latency in ms; see ``percentile``."""
    return percentile(timeline, settings, "p50_ms", 0.50, phase)


def p99(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """99th percentile in ms; see ``percentile``."""
    return percentile(timeline, settings, "p99_ms", 0.99, phase)


def percentile(timeline: Timeline, settings: Settings, base: str, share: float, phase: str) -> Measure:
    """The latency in ms that ``share`` of the phase's open-loop reads stayed within.

    A failed read counts as longer than any answer; where the percentile falls on one, the value is the
    longest answer seen and censored. Closed-loop users are left out: they ask less while the service hangs.
    Unknown with fewer than 1 / (1 - share) reads, which hold no observation beyond the percentile.
    ``raw_ms`` in the evidence is the same percentile counted from the moment of sending.
    """
    name = key(base, phase)
    reads = stream_of(timeline, STREAM)
    chosen = in_phase(timeline, phase)[timeline.requests.stream.equals(STREAM)]
    reads = reads.where(chosen & reads.sent)
    least = math.ceil(round(1 / (1 - share), 6))
    if len(reads) < least:
        return unknown(name, f"Only {len(reads)} probed reads in the phase '{phase}'; {least} are needed.")
    unseen = unobserved(timeline, STREAM, phase, settings)
    shortest, longest = _bounds_ms(reads, stalls_of(timeline, settings), unseen)
    rank = rank_of(share, len(longest))
    low, high = order_statistic_interval(len(longest), share)
    value, answered = float(longest[rank - 1]), longest[np.isfinite(longest)]
    fastest = float(shortest[rank - 1])
    return Measure(
        name=name,
        value=value if math.isfinite(value) else float(answered.max()) if len(answered) else None,
        unit="ms",
        interval=(
            float(shortest[low - 1]) if low else 0.0,
            float(longest[high - 1]) if high else math.inf,
        ),
        possible=(max(0.0, fastest), value) if fastest != value else None,
        censored=fastest == math.inf,
        reason=_reason(fastest, value, unseen) or fell_behind(timeline, settings, phase),
        evidence={
            "reads": len(reads),
            "failed": int(np.count_nonzero(~reads.ok)),
            "unobserved": unseen,
            "raw_ms": quantile_ms(reads.t_done - reads.t_sent, reads, share),
        },
    )


def quantile_ms(took: object, reads: Requests, share: float) -> float | None:
    """The ``share`` quantile in ms of times in ns, a failed read counting as endless; None where it is one."""
    values = np.sort(np.where(reads.ok, np.asarray(took) / 1e6, math.inf))
    if not len(values):
        return None
    found = float(values[rank_of(share, len(values)) - 1])
    return found if math.isfinite(found) else None


def rank_of(share: float, count: int) -> int:
    """The rank (from 1) of the order statistic that is the ``share`` quantile of ``count`` observations."""
    return math.ceil(round(share * count, 6))


def order_statistic_interval(count: int, share: float, confidence: float = 0.95) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics that enclose a quantile of any distribution; 0: no such rank.

    P(X_(low) <= quantile <= X_(high)) >= confidence, from the binomial distribution of how many observations
    lie below the quantile (Conover, Practical Nonparametric Statistics, 3.2). It assumes independent
    observations, which requests are only roughly: read the interval as a lower bound on the doubt.
    """
    numbers = np.arange(count + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(numbers[1:]))])
    terms = logs[count] - logs - logs[::-1] + numbers * math.log(share) + (count - numbers) * math.log1p(-share)
    below = np.cumsum(np.exp(terms))
    tail = (1 - confidence) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return low, high if high <= count else 0


def _bounds_ms(reads: Requests, stalls: Stalls, unseen: int) -> tuple[Floats, Floats]:
    """Sorted latencies in ms, at the least (without the prober's own delays) and at the most."""
    latency, stalled, ok = latency_s(reads), stalled_s(reads, stalls), reads.ok
    excused = ok | (reads.error.equals("timeout") & (stalled > 0))
    least = np.where(excused, 1000 * (latency - stalled), math.inf)
    most = np.where(ok, 1000 * latency, math.inf)
    return (
        np.sort(np.append(least, np.full(unseen, -math.inf))),
        np.sort(np.append(most, np.full(unseen, math.inf))),
    )


def _reason(fastest: float, value: float, unseen: int) -> str | None:
    if fastest == math.inf:
        return "So many reads failed that this percentile has no answer; the longest answer is its lower bound."
    if fastest != value:
        return f"The prober was held up ({unseen} probes unseen): the value is the upper end of a range."
    return None
