"""Recovery time: from the fault to the start of a sustained recovery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import floor

import numpy as np

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.phases import SECOND, Struck, moments, stream_of, strikes
from drills.measures.recovery import broken_from, outages, sustained_from, windows_within
from drills.measures.schedule import FAILED, GOOD, SLOW, Grid, Slots, Stalls, grid, readings, slots, stalls_of
from drills.recording.timeline import Flags, Ints, Timeline

LEAST_PROBES = 10
EARLY_S = 0.5
"""An outage that began this long before its injection was acknowledged is worth a remark."""


def rto_read(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds until reads worked again; see ``recovery_time``."""
    return recovery_time(timeline, settings, "rto_read_s", "probe_read")


def rto_write(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds until writes worked again; see ``recovery_time``."""
    return recovery_time(timeline, settings, "rto_write_s", "probe_write")


def recovery_time(timeline: Timeline, settings: Settings, name: str, stream: str) -> Measure:
    """Seconds from the fault to the success of ``stream`` that starts a sustained recovery.

    The fault counts from its acknowledgement or, where it struck while it was still being injected, from the first
    probe that showed it: a command that breaks something at once may take long to return. Of several faults each
    counts by itself, unless the next one struck before the service had recovered; the longest recovery is the value.

    Unknown (value None) where nothing was injected, the stream has too few probes, the service failed before
    the fault already, or what was not recorded decides; censored where the service never recovered.
    """
    at, schedule = moments(timeline), grid(timeline, stream)
    if at.begin is None or at.injected is None or at.end is None:
        return unknown(name, "No fault was injected, so there is nothing to recover from.")
    if schedule is None or not len(stream_of(timeline, stream)):
        return unknown(name, f"No {stream} request was recorded.")
    stalls, last_due = stalls_of(timeline, settings), at.end - round(settings.settle_s * SECOND)
    before, since_begin = (
        Probed(slots(timeline, stream, schedule, since, until), stalls, settings, schedule, strikes(timeline))
        for since, until in ((schedule.anchor, at.begin), (at.begin, last_due))
    )
    what = {"probe_read": "reads", "probe_write": "writes"}[stream]
    trouble = since_begin.too_little() or before.until(at.begin).unsteady(what)
    if trouble:
        return unknown(name, trouble)
    return _measure(name, what, since_begin)


@dataclass(frozen=True)
class Recovery:
    """``since``: where the outage counts from; ``moment``: where it counts to; ``struck``: the fault it recovers from.

    ``answered``: when the recovery's first answer had come. ``dark``: when the service was last seen not to answer.
    ``bright``: when it was last seen to work before the outage, None where that is not known (all ns).
    """

    struck: Struck
    since: int
    moment: int
    answered: int
    dark: int
    bright: int | None

    @property
    def seconds(self) -> float:
        return max(0, self.moment - self.since) / SECOND


@dataclass(frozen=True)
class Bright:
    """No outage: every window holds."""

    seconds: float = 0.0


BRIGHT = Bright()


@dataclass(frozen=True, eq=False)
class Probed:
    """A stretch of a stream's slots, judged by the best and by the worst reading that fit the record."""

    slots: Slots
    stalls: Stalls
    settings: Settings
    grid: Grid
    struck: tuple[Struck, ...]

    @property
    def acknowledged(self) -> int:
        """When the first fault was in force: what every moment is told by (ns)."""
        return self.struck[0].injected

    @cached_property
    def length(self) -> int:
        """Probes in one window."""
        return round(self.settings.window_s * SECOND / self.grid.interval)

    @cached_property
    def readings(self) -> tuple[Ints, Ints]:
        """The best and the worst of each slot."""
        return readings(self.slots, self.stalls, self.settings)

    @cached_property
    def best(self) -> Recovery | Bright | None:
        return _longest(self.recoveries(self.readings[0]))

    @cached_property
    def worst(self) -> Recovery | Bright | None:
        return _longest(self.recoveries(self.readings[1]))

    @cached_property
    def unseen(self) -> int:
        """Probes whose fate is not known for certain."""
        best, worst = self.readings
        return int(np.count_nonzero(best != worst))

    def until(self, end: int) -> Probed:
        """The slots whose answers had all come before ``end``."""
        over = ~self.slots.any(self.slots.requests.t_done >= end)
        return Probed(self.slots.where(over), self.stalls, self.settings, self.grid, self.struck)

    def recoveries(self, readings: Ints) -> list[tuple[Struck, Recovery | Bright | None]]:
        """The recovery from each fault by these readings; those not recovered from before the next are one."""

        def judge(struck: Struck, due: Flags) -> Recovery | Bright | None:
            stretch = Probed(self.slots.where(due), self.stalls, self.settings, self.grid, (struck,))
            return stretch.recovery(readings[due])

        found: list[tuple[Struck, Recovery | Bright | None]] = outages(self.struck, self.slots, judge)
        return found

    def recovery(self, readings: Ints) -> Recovery | Bright | None:
        """When the recovery began by these readings; None where it did not, ``BRIGHT`` where there was no outage.

        A stretch too short for a window shows no recovery, but where all is good no outage either.
        """
        settings, good = self.settings, readings == GOOD
        enough = windows_within(readings == FAILED, self.length, (1 - settings.success_ratio) * self.length)
        prompt = windows_within(~good, self.length, (1 - settings.prompt_ratio) * self.length)
        broken, first = broken_from(good, enough & prompt), sustained_from(good, enough & prompt)
        if broken is None:
            return BRIGHT if good.all() or len(good) >= self.length else None
        if first is None:
            return None
        after = np.flatnonzero(good[first:]) + first
        # An answer to an older probe, though late, shows too that the service is back.
        since, requests = self.slots.t[first], self.slots.requests
        late = requests.t_done[(self.slots.slot < first) & requests.ok & (requests.t_done >= since)]
        moment = int(np.append(self.slots.recovered_at(self.grid)[after], late).min())
        return Recovery(
            struck=self.struck[0],
            since=min(self.acknowledged, int(self.slots.t[broken])),
            moment=moment,
            answered=int(np.append(self.slots.answered_at[after], late).min()),
            dark=self._last_seen_dark(moment),
            bright=int(self.slots.t[broken - 1]) if broken and good[broken - 1] else None,
        )

    def _last_seen_dark(self, before: int) -> int:
        """When the last probe before ``before`` was sent that was not answered within an interval."""
        requests = self.slots.requests
        answered = requests.ok & (requests.t_done - requests.t_sent <= self.grid.interval)
        unanswered = requests.t_sent[(requests.t_sent <= before) & ~answered]
        return int(unanswered.max()) if len(unanswered) else before

    def too_little(self) -> str | None:
        """Why no window can be judged; None where one can."""
        window_s = self.settings.window_s
        if self.length < LEAST_PROBES:
            return f"A window of {window_s:g} s holds {self.length} probes; it takes {LEAST_PROBES} to judge it."
        measured = int(np.count_nonzero(self.slots.t >= self.struck[-1].injected))
        if measured < self.length:
            seconds = measured * self.grid.interval_s
            return f"Only {seconds:.2f} s were measured after the fault; recovery must hold for {window_s:g} s."
        return None

    def unsteady(self, what: str) -> str | None:
        """Why the service was not seen working; None where it was."""
        bad, total = int(np.count_nonzero(self.readings[1] == FAILED)), len(self.slots)
        if total < LEAST_PROBES:
            return f"Only {total} {what} were probed before the fault, too few to know that they worked."
        if bad > (1 - self.settings.success_ratio) * total + 1e-9:
            return f"Before the fault {bad} of {total} probed {what} had failed, come late or gone unseen."
        return None


def _longest(found: list[tuple[Struck, Recovery | Bright | None]]) -> Recovery | Bright | None:
    """The recovery that took longest, the first of equal ones; None where one was not seen to end."""
    recoveries = [recovery for _, recovery in found]
    return None if None in recoveries else max((r for r in recoveries if r), key=lambda recovery: recovery.seconds)


def _measure(name: str, what: str, probed: Probed) -> Measure:
    resolution, best, worst = probed.grid.interval_s, probed.best, probed.worst
    measure = Measure(name=name, value=None, unit="s", resolution=resolution, evidence=_evidence(probed))
    if best is None:
        *others, (struck, _) = probed.recoveries(probed.readings[0])
        seconds = (int(probed.slots.t[-1]) + probed.grid.interval - struck.injected) / SECOND
        reason = f"The {what} had not recovered for good when the trial ended, {seconds:.2f} s after the fault."
        longest = max((recovery.seconds for _, recovery in others if recovery), default=0.0)
        return replace(measure, value=max(seconds, longest), censored=True, reason=reason)
    if worst is None:
        reason = _unseen(probed, "so it is not known whether the service recovered")
        return replace(measure, possible=(best.seconds, UNSETTLED), reason=reason)
    tolerated = 1 + floor((1 - probed.settings.success_ratio) * probed.length + 1e-9)
    sure = best.seconds == worst.seconds
    return replace(
        measure,
        value=worst.seconds,
        interval=(_least(best, resolution), max(_most(worst), worst.seconds, tolerated * resolution)),
        possible=None if sure else (best.seconds, worst.seconds),
        reason=_remark(probed, what) if sure else _unseen(probed, "so the value is their worst case"),
    )


def _least(best: Recovery | Bright, resolution: float) -> float:
    """From the outage's first sign to one interval before the last: nobody looked in between."""
    if isinstance(best, Bright):
        return 0.0
    return max(0.0, min(best.seconds, (best.dark - best.since) / SECOND) - resolution)


def _most(worst: Recovery | Bright) -> float:
    """From where the outage may have begun until an answer had come.

    That is when the service last worked, but not before the injection's begin nor after where the value counts from.
    """
    if isinstance(worst, Bright):
        return 0.0
    begin = worst.struck.begin
    return (worst.answered - min(worst.since, max(begin, worst.bright or begin))) / SECOND


def _evidence(probed: Probed) -> dict[str, object]:
    """Seconds count from the first acknowledged injection; ``began_s`` is where the value counts from."""
    acknowledged, outage = probed.acknowledged, probed.worst
    best, worst = probed.readings
    failed = probed.slots.t[worst == FAILED]
    seen = outage if isinstance(outage, Recovery) else None
    return {
        "probes": len(probed.slots),
        "failed": int(np.count_nonzero(best == FAILED)),
        "slow": int(np.count_nonzero(worst == SLOW)),
        "unobserved": probed.unseen,
        "first_failed_s": (int(failed[0]) - acknowledged) / SECOND if len(failed) else None,
        "last_failed_s": (int(failed[-1]) - acknowledged) / SECOND if len(failed) else None,
        "began_s": (seen.since - acknowledged) / SECOND if seen else None,
        "recovered_s": (seen.moment - acknowledged) / SECOND if seen else None,
        **_of_several(probed, seen),
    }


def _of_several(probed: Probed, seen: Recovery | None) -> dict[str, object]:
    """With several faults: which of them (from 1) the value is the recovery from."""
    if len(probed.struck) < 2:
        return {}
    return {"faults": len(probed.struck), "from_fault": probed.struck.index(seen.struck) + 1 if seen else None}


def _remark(probed: Probed, what: str) -> str | None:
    """What the figure alone does not say: failures that count as none, an outage before the acknowledgement."""
    outage = probed.worst
    failed = int(np.count_nonzero(probed.readings[1] == FAILED))
    if isinstance(outage, Bright):
        total = len(probed.slots)
        return f"{failed} of {total} probes failed, too few in any window to count as an outage." if failed else None
    early_s = (outage.struck.injected - outage.since) / SECOND if outage else 0.0
    if early_s <= EARLY_S:
        return None
    return f"The {what} were broken {early_s:.2f} s before the injection was acknowledged; the time counts from there."


def _unseen(probed: Probed, consequence: str) -> str:
    total = len(probed.slots)
    return f"The fate of {probed.unseen} of {total} probes is not known (the prober was held up), {consequence}."
