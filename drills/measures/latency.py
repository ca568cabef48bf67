"""How long reads took, from the moment they were due: percentiles with distribution-free intervals."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import accumulate

from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import SECOND, in_phase, moments
from drills.measures.schedule import Stalls, latency_s, unobserved
from drills.record import Request, Timeline

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
    """
    name, at = key(base, phase), moments(timeline)
    reads = [r for r in timeline.requests if r.stream == STREAM and r.error != "not_sent" and in_phase(r, phase, at)]
    least = math.ceil(round(1 / (1 - share), 6))
    if len(reads) < least:
        return unknown(name, f"Only {len(reads)} probed reads in the phase '{phase}'; {least} are needed.")
    stalls, unseen = Stalls(timeline, settings), unobserved(timeline, STREAM, phase, settings)
    shortest, longest = _bounds_ms(reads, stalls, unseen)
    rank = math.ceil(round(share * len(longest), 6))
    low, high = order_statistic_interval(len(longest), share)
    value, answered = longest[rank - 1], [ms for ms in longest if math.isfinite(ms)]
    fastest = shortest[rank - 1]
    return Measure(
        name=name,
        value=value if math.isfinite(value) else max(answered, default=None),
        unit="ms",
        interval=(shortest[low - 1] if low else 0.0, longest[high - 1] if high else math.inf),
        possible=(max(0.0, fastest), value) if fastest != value else None,
        censored=math.isinf(fastest),
        reason=_reason(fastest, value, unseen),
        evidence={"reads": len(reads), "failed": sum(not r.ok for r in reads), "unobserved": unseen},
    )


def order_statistic_interval(count: int, share: float, confidence: float = 0.95) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics that enclose a quantile of any distribution; 0: no such rank.

    P(X_(low) <= quantile <= X_(high)) >= confidence, from the binomial distribution of how many observations
    lie below the quantile (Conover, Practical Nonparametric Statistics, 3.2). It assumes independent
    observations, which requests are only roughly: read the interval as a lower bound on the doubt.
    """
    logs = list(accumulate((math.log(n) for n in range(1, count + 1)), initial=0.0))
    below = list(
        accumulate(
            math.exp(logs[count] - logs[n] - logs[count - n] + n * math.log(share) + (count - n) * math.log1p(-share))
            for n in range(count + 1)
        )
    )
    tail = (1 - confidence) / 2
    low = bisect_right(below, tail)
    high = bisect_left(below, 1 - tail) + 1
    return low, high if high <= count else 0


def _bounds_ms(reads: list[Request], stalls: Stalls, unseen: int) -> tuple[list[float], list[float]]:
    """Sorted latencies in ms, at the least (without the prober's own delays) and at the most."""
    least, most = [-math.inf] * unseen, [math.inf] * unseen
    for read in reads:
        stalled = stalls.within(read.t_scheduled, read.t_done) / SECOND
        excused = read.ok or (read.error == "timeout" and stalled > 0)
        least.append(1000 * (latency_s(read) - stalled) if excused else math.inf)
        most.append(1000 * latency_s(read) if read.ok else math.inf)
    return sorted(least), sorted(most)


def _reason(fastest: float, value: float, unseen: int) -> str | None:
    if math.isinf(fastest):
        return "So many reads failed that this percentile has no answer; the longest answer is its lower bound."
    if fastest != value:
        return f"The prober was held up ({unseen} probes unseen): the value is the upper end of a range."
    return None
