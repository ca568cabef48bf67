"""One measure over the trials of a run: its worst, its median, and how well the median is known (docs/measuring.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from drills.measures import Measure, definition
from drills.outcome import Judged, Outcome, rank

CONFIDENCE = 0.95


def badness(measure: Measure) -> tuple[bool, float]:
    """Sorts observed values from the best to the worst; a censored one is worse than every value that was seen."""
    known = definition(measure.name.partition("@")[0])
    value = 0.0 if measure.value is None else float(measure.value)
    return measure.censored, -value if known and known.higher_is_better else value


def spread(measures: Sequence[Measure]) -> dict[str, object]:
    """``over_trials`` of ``verdict.json``: values in the trials' order, median, worst, range, interval of the median.

    The median of an even number is the worse of the two middle ones. A trial without a value could be anything, so
    ``median``, ``worst`` and ``interval`` are None then. An interval is open above (inf) where its end is censored.
    """
    known = sorted((m for m in measures if m.value is not None), key=badness)
    values = [float(m.value) for m in known if m.value is not None]
    whole = bool(known) and len(known) == len(measures)
    middle = len(known) // 2
    low, confidence = median_interval(len(known)) if whole else (0, None)
    return {
        "values": [m.value for m in measures],
        "censored": [m.censored for m in measures],
        "median": values[middle] if whole else None,
        "median_censored": whole and known[middle].censored,
        "worst": values[-1] if whole else None,
        "range": [min(values), max(values)] if values else None,
        "interval": _interval(known[low - 1], known[-low]) if low else None,
        "confidence": confidence,
        "note": _note(len(measures), len(known), low),
    }


def median_interval(count: int, confidence: float = CONFIDENCE) -> tuple[int, float | None]:
    """The rank from either end of ``count`` sorted values whose interval holds the median, and how surely it does.

    P(X_(r) <= median <= X_(n+1-r)) = 1 - 2 P(Bin(n, 1/2) < r) for every distribution (Conover, Practical Nonparametric
    Statistics, 3.2). The greatest r that reaches ``confidence``; (0, None) where not even the extremes do: below 6.
    """
    below = 0.0
    found: tuple[int, float | None] = (0, None)
    for r in range(1, count // 2 + 1):
        below += math.comb(count, r - 1) / 2**count
        if 1 - 2 * below < confidence:
            break
        found = (r, 1 - 2 * below)
    return found


def worst(judged: Sequence[Judged]) -> Judged:
    """The worst of a measure over trials: a violation before an unknown, an unknown before any figure."""

    def order(entry: Judged) -> tuple[int, bool, tuple[bool, float]]:
        return rank(entry.outcome), _unseen(entry) and entry.outcome is not Outcome.FAIL, badness(entry.measure)

    return max(judged, key=order)


def median(judged: Sequence[Judged], planned: int) -> Judged:
    """The measure of the median trial, the worse of the two middle ones: it fails if at least half of them did.

    A trial that was not observed (or not run: ``planned``) counts as the best there could be when a violation is
    looked for; is there none, the run's measure is that unobserved one, or unknown if too few trials were run.
    """
    unclear = [j for j in judged if j.outcome is Outcome.UNKNOWN or (j.outcome is None and _unseen(j))]
    clear = sorted((j for j in judged if j not in unclear), key=lambda j: (rank(j.outcome), badness(j.measure)))
    whole = max(planned, len(judged))
    at_best = whole // 2 - (whole - len(clear))
    if at_best >= 0 and clear[at_best].outcome is Outcome.FAIL:
        return clear[at_best]
    if unclear:
        return unclear[0]
    return clear[at_best] if at_best >= 0 else not_counted(clear[0], "Too few trials were run to have a median.")


def not_counted(judged: Judged, why: str) -> Judged:
    """The measure of a trial that did not ask the drill's question: whatever it was, it answers nothing."""
    return judged if judged.outcome is None else replace(judged, outcome=Outcome.UNKNOWN, reason=why)


def _unseen(judged: Judged) -> bool:
    return judged.measure.value is None


def _interval(best: Measure, worst_one: Measure) -> list[float | None]:
    ends = [best.value or 0.0, math.inf if worst_one.censored else worst_one.value or 0.0]
    return [float(end) for end in sorted(ends)]


def _note(trials: int, known: int, low: int) -> str | None:
    if known < trials:
        return f"{trials - known} of {trials} trials did not observe it, so its median is not known."
    if low:
        return None
    needed = next(n for n in range(1, 100) if median_interval(n)[0])
    return f"The median has no {CONFIDENCE:.0%} interval: {needed} trials are needed, {trials} were run."
