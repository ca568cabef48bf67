"""When a sustained recovery began: the scan that every RTO shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from drills.measures.phases import Struck
from drills.measures.schedule import Slots
from drills.recording.timeline import Flags


def windows_within(costs: npt.NDArray[Any], length: int, allowed: float) -> Flags:
    """For each full window of ``length`` consecutive costs: whether its sum is at most ``allowed``."""
    sums = np.concatenate([[0.0], np.cumsum(costs, dtype=np.float64)])
    return np.asarray(sums[length:] - sums[:-length] <= allowed + 1e-9)


def sustained_from(good: Flags, windows: Flags) -> int | None:
    """The first good probe from which on every full window holds, up to the last; None where there is none.

    ``windows[n]`` is about the window that starts with probe ``n``. Making a probe good, or a window hold,
    can only move the answer earlier.
    """
    broken = np.flatnonzero(~windows)
    start = int(broken[-1]) + 1 if len(broken) else 0
    found = np.flatnonzero(good[start : len(windows)])
    return start + int(found[0]) if len(found) else None


def broken_from(good: Flags, windows: Flags) -> int | None:
    """The first probe that is not good in the first window that does not hold; None where every window holds.

    There the outage was first seen. Making a probe good, or a window hold, can only move the answer later.
    """
    if windows.all():
        return None
    start = int(np.argmin(windows))
    return start + int(np.argmin(good[start:]))


def outages(struck: Sequence[Struck], found: Slots, judge: Callable[[Struck, Flags], Any]) -> list[tuple[Struck, Any]]:
    """The recovery from each fault, by what was due until the next one struck; ``judge`` returns None for none there.

    Where there was none before the next fault, both are one outage, which counts from the earlier. Only the last one
    may be None in the answer. What was under way when the next fault struck may have been hit by that, and is left out.
    """
    judged: list[tuple[Struck, Any]] = []
    first = 0
    while first < len(struck):
        for after in range(first + 1, len(struck) + 1):
            due = found.t >= (struck[first].begin if first else found.t.min(initial=0))
            if after < len(struck):
                due &= (found.t < struck[after].begin) & ~found.any(found.requests.t_done >= struck[after].begin)
            recovery = judge(struck[first], due)
            if recovery is not None:
                break
        judged.append((struck[first], recovery))
        first = after
    return judged
