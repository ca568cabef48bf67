"""How large the steps are: by the planned epochs or by the clock, whichever is ahead."""

from __future__ import annotations

import math
import time


class Pace:
    """The learning rate: a linear warm-up, then half a cosine over the planned epochs or the time,
    whichever is faster.

    So a slow machine also ends on small steps, where the quality comes from, and not in the middle of large
    ones.
    """

    def __init__(self, peak: float, warmup_steps: int, epochs: int, deadline_s: float) -> None:
        self.peak, self.warmup_steps, self.epochs = peak, warmup_steps, epochs
        self.started_s, self.deadline_s = time.monotonic(), deadline_s
        self.steps = 0

    def next(self, steps_in_epoch: int) -> float:
        """The learning rate of the next step; call once a step."""
        clock = (time.monotonic() - self.started_s) / max(1e-9, self.deadline_s - self.started_s)
        planned = self.done(steps_in_epoch)
        # Only a clock that is clearly ahead counts, so that fast machines do the same steps every time.
        done = min(1.0, clock if clock > planned + 0.05 else planned)
        self.steps += 1
        return self.peak * min(1.0, self.steps / self.warmup_steps) * 0.5 * (1.0 + math.cos(math.pi * done))

    def done(self, steps_in_epoch: int) -> float:
        """The share of the planned steps that are done."""
        return self.steps / max(1, self.epochs * steps_in_epoch)

    def over(self) -> bool:
        return time.monotonic() >= self.deadline_s

    def left_s(self, steps_in_epoch: int) -> float:
        """Seconds until the end: at the speed so far, but not beyond the deadline."""
        now = time.monotonic()
        expected = (now - self.started_s) * (1.0 / max(1e-9, self.done(steps_in_epoch)) - 1.0)
        return max(0.0, min(expected, self.deadline_s - now))
