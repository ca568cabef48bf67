"""Derive a thing from a timeline once, however many measures need it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

from drills.recording.timeline import Timeline

T = TypeVar("T")


def remembered(derive: Callable[..., T]) -> Callable[..., T]:
    """``derive(timeline, ...)``, computed at the first call for these arguments and kept with the timeline."""

    @wraps(derive)
    def once(timeline: Timeline, *more: Hashable) -> T:
        key = (derive, *more)
        if key not in timeline.memo:
            timeline.memo[key] = derive(timeline, *more)
        found: T = timeline.memo[key]
        return found

    return once
