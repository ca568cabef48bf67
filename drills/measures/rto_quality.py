"""When recommendations were as good as before again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.phases import SECOND, Struck, moments, strikes
from drills.measures.quality import STREAM, Answers, answers_of, baseline_hits
from drills.measures.recovery import broken_from, outages, sustained_from, windows_within
from drills.measures.schedule import Floats, Grid, Slots, grid, slots
from drills.recording.timeline import Flags, Timeline

NAME = "rto_quality_s"


def rto_quality(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds from the fault until every later window reaches its share of the baseline.

    Like the other RTOs it counts from the injection's acknowledgement, or from the first miss of the outage before it.

    A window is ``quality_window`` requests in a row, the share ``quality_ratio`` of the baseline's hits; a
    request without an answer counts as no hit, so quality cannot be back before reads are. Unknown without a
    baseline, or where the quality was below the share before the fault.
    """
    at, schedule, hits = moments(timeline), grid(timeline, STREAM), baseline_hits(timeline)
    if at.begin is None or at.injected is None or at.end is None:
        return unknown(NAME, "No fault was injected, so there is nothing to recover from.")
    if not hits:
        return unknown(NAME, "No baseline of the quality was recorded.")
    if schedule is None:
        return unknown(NAME, "No quality request was recorded.")
    earlier = slots(timeline, STREAM, schedule, schedule.anchor, at.begin)
    earlier = earlier.where(~earlier.any(earlier.requests.t_done >= at.begin))
    due = slots(timeline, STREAM, schedule, at.begin, at.end - round(settings.settle_s * SECOND))
    asked = Asked(due, hits, settings, schedule)
    struck = strikes(timeline)
    trouble = asked.too_little(struck[-1].injected) or Asked(earlier, hits, settings, schedule).unsteady()
    return unknown(NAME, trouble) if trouble else _measure(asked, struck)


@dataclass(frozen=True, eq=False)
class Asked:
    """A stretch of quality slots beside the baseline's hits."""

    slots: Slots
    hits: dict[str, int]
    settings: Settings
    grid: Grid

    @cached_property
    def answers(self) -> Answers:
        return answers_of(self.slots.requests, self.hits)

    @cached_property
    def surpluses(self) -> tuple[Floats, Floats]:
        """By how much each slot's recall exceeds the share of the baseline's: at most and at least. [m] each"""
        requests, known = self.slots.requests, np.flatnonzero(self.slots.requests.sent)
        order = known[np.lexsort([c[known] for c in (requests.t_done, requests.t_scheduled, self.slots.slot)])]
        place, first = np.unique(self.slots.slot[order], return_index=True)
        asked = self.answers.where(order[first])
        surplus = np.where(asked.answered, asked.recall, 0.0) - self.settings.quality_ratio * asked.baseline
        most, least = np.full(len(self.slots), 1.0), np.full(len(self.slots), -self.settings.quality_ratio)
        most[place] = least[place] = surplus
        return most, least

    @cached_property
    def answered(self) -> Flags:
        """Which slots brought a list that could be held against the left-out items. [m]"""
        return self.slots.any(self.answers.answered)

    def too_little(self, injected: int) -> str | None:
        users = len(np.unique(self.answers.user[self.answers.answered & self.answers.paired]))
        window, least = self.settings.quality_window, self.settings.min_users
        asked = int(np.count_nonzero(self.slots.t >= injected))
        if asked >= window and users >= least:
            return None
        return (
            f"After the fault {users} held-out users were answered in {asked} requests; "
            f"{least} and {window} are needed."
        )

    def unsteady(self) -> str | None:
        if len(self.slots) and self.surpluses[1].sum() >= -1e-9:
            return None
        return "Before the fault the quality was not seen to be as good as in the baseline."

    def recoveries(self, struck: tuple[Struck, ...], *, hopeful: bool) -> list[tuple[Struck, float | None]]:
        """Seconds until the sustained return of quality from each fault; where the next came first, both are one."""

        def judge(fault: Struck, due: Flags) -> float | None:
            stretch = Asked(self.slots.where(due), self.hits, self.settings, self.grid)
            return stretch.recovery_s(fault.injected, hopeful=hopeful)

        return outages(struck, self.slots, judge)

    def recovery_s(self, injected: int, *, hopeful: bool) -> float | None:
        """Seconds until the sustained return of quality; None where it did not return, or too little was asked."""
        good = self.answered | (hopeful & ~self.slots.known)
        surpluses = self.surpluses[0 if hopeful else 1]
        windows = windows_within(-surpluses, self.settings.quality_window, 0.0)
        broken, first = broken_from(surpluses >= 0, windows), sustained_from(good, windows)
        if broken is None:
            return 0.0 if len(windows) else None
        if first is None:
            return None
        moments = self.slots.recovered_at(self.grid)[first:][good[first:]]
        return max(0, int(moments.min()) - min(injected, int(self.slots.t[broken]))) / SECOND


def _longest(found: list[tuple[Struck, float | None]]) -> float | None:
    """The longest recovery; None where one was not seen to end."""
    seconds = [recovery for _, recovery in found]
    return None if None in seconds else max(s for s in seconds if s is not None)


def _measure(asked: Asked, struck: tuple[Struck, ...]) -> Measure:
    hopeful = asked.recoveries(struck, hopeful=True)
    best, worst = _longest(hopeful), _longest(asked.recoveries(struck, hopeful=False))
    unseen, interval_s = int(np.count_nonzero(~asked.slots.known)), asked.grid.interval_s
    measure = Measure(
        name=NAME,
        value=worst,
        unit="s",
        resolution=interval_s,
        reason=f"The answers to {unseen} quality requests are not known." if best != worst else None,
        evidence={
            "requests": len(asked.slots),
            "unobserved": unseen,
            "window": asked.settings.quality_window,
        },
    )
    if best is None:
        *others, (last, _) = hopeful
        end_s = (int(asked.slots.t[-1]) + asked.grid.interval - last.injected) / SECOND
        end_s = max(end_s, _longest(others) or 0.0 if others else 0.0)
        reason = f"Recommendations were not as good as before when the trial ended, {end_s:.2f} s after the fault."
        return replace(measure, value=end_s, censored=True, reason=reason)
    if worst is None:
        return replace(measure, possible=(best, UNSETTLED))
    interval = (max(0.0, best - interval_s), worst + interval_s)
    return replace(measure, interval=interval, possible=(best, worst) if best != worst else None)
