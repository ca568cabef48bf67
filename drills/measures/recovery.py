"""When a sustained recovery began: the scan that every RTO shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def windows_within(costs: Sequence[float], length: int, allowed: float) -> list[bool]:
    """For each full window of ``length`` consecutive costs: whether its sum is at most ``allowed``."""
    sums = [0.0, *accumulate(costs)]
    return [sums[end] - sums[end - length] <= allowed + 1e-9 for end in range(length, len(costs) + 1)]


def sustained_from(good: Sequence[bool], windows: Sequence[bool]) -> int | None:
    """The first good probe from which on every full window holds, up to the last; None where there is none.

    ``windows[n]`` is about the window that starts with probe ``n``. Making a probe good, or a window hold,
    can only move the answer earlier.
    """
    start = len(windows)
    while start and windows[start - 1]:
        start -= 1
    return next((n for n in range(start, len(windows)) if good[n]), None)
