"""Recovery time: from the fault's acknowledged injection to the start of a sustained recovery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import floor

import numpy as np

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.phases import SECOND, moments, stream_of
from drills.measures.recovery import sustained_from, windows_within
from drills.measures.schedule import FAILED, GOOD, SLOW, Grid, Slots, Stalls, grid, readings, slots, stalls_of
from drills.timeline import Ints, Timeline

LEAST_PROBES = 10


def rto_read(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds until reads worked again; see ``recovery_time``."""
    return recovery_time(timeline, settings, "rto_read_s", "probe_read")


def rto_write(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds until writes worked again; see ``recovery_time``."""
    return recovery_time(timeline, settings, "rto_write_s", "probe_write")


def recovery_time(timeline: Timeline, settings: Settings, name: str, stream: str) -> Measure:
    """Seconds from the acknowledged injection to the success of ``stream`` that starts a sustained recovery.

    Unknown (value None) where nothing was injected, the stream has too few probes, the service failed before
    the fault already, or what was not recorded decides; censored where the service never recovered.
    """
    at, schedule = moments(timeline), grid(timeline, stream)
    if at.begin is None or at.injected is None or at.end is None:
        return unknown(name, "No fault was injected, so there is nothing to recover from.")
    if schedule is None or not len(stream_of(timeline, stream)):
        return unknown(name, f"No {stream} request was recorded.")
    stalls, last_due = stalls_of(timeline, settings), at.end - round(settings.settle_s * SECOND)
    before, since_begin, since_ack = (
        Probed(slots(timeline, stream, schedule, since, until), stalls, settings, schedule)
        for since, until in (
            (schedule.anchor, at.begin),
            (at.begin, last_due),
            (at.injected, last_due),
        )
    )
    what = {"probe_read": "reads", "probe_write": "writes"}[stream]
    trouble = since_ack.too_little() or before.until(at.begin).unsteady(what)
    if trouble:
        return unknown(name, trouble)
    return _measure(name, what, since_ack, (at.injected, since_begin.answered_s(at.begin)))


@dataclass(frozen=True)
class Recovery:
    """``moment``: where the value counts to; ``answered``: when the first answer of it had come.

    ``dark``: when the service was last seen not to answer (all ns).
    """

    at_once: bool
    moment: int
    answered: int
    dark: int

    def seconds_since(self, injected: int) -> float:
        """0 where the very first window after the fault already held: no outage to recover from."""
        return 0.0 if self.at_once else max(0, self.moment - injected) / SECOND


@dataclass(frozen=True, eq=False)
class Probed:
    """A stretch of a stream's slots, judged by the best and by the worst reading that fit the record."""

    slots: Slots
    stalls: Stalls
    settings: Settings
    grid: Grid

    @cached_property
    def length(self) -> int:
        """Probes in one window."""
        return round(self.settings.window_s * SECOND / self.grid.interval)

    @cached_property
    def readings(self) -> tuple[Ints, Ints]:
        """The best and the worst of each slot."""
        return readings(self.slots, self.stalls, self.settings)

    @cached_property
    def best(self) -> Recovery | None:
        return self.recovery(self.readings[0])

    @cached_property
    def worst(self) -> Recovery | None:
        return self.recovery(self.readings[1])

    @cached_property
    def unseen(self) -> int:
        """Probes whose fate is not known for certain."""
        best, worst = self.readings
        return int(np.count_nonzero(best != worst))

    def until(self, end: int) -> Probed:
        """The slots whose answers had all come before ``end``."""
        over = ~self.slots.any(self.slots.requests.t_done >= end)
        return Probed(self.slots.where(over), self.stalls, self.settings, self.grid)

    def recovery(self, readings: Ints) -> Recovery | None:
        """When the recovery began by these readings; None where it did not."""
        settings, good = self.settings, readings == GOOD
        enough = windows_within(readings == FAILED, self.length, (1 - settings.success_ratio) * self.length)
        prompt = windows_within(~good, self.length, (1 - settings.prompt_ratio) * self.length)
        first = sustained_from(good, enough & prompt)
        if first is None:
            return None
        after = np.flatnonzero(good[first:]) + first
        # An answer to an older probe, though late, shows too that the service is back.
        since, requests = self.slots.t[first], self.slots.requests
        late = requests.t_done[(self.slots.slot < first) & requests.ok & (requests.t_done >= since)]
        moment = int(np.append(self.slots.recovered_at(self.grid)[after], late).min())
        return Recovery(
            at_once=first == 0,
            moment=moment,
            answered=int(np.append(self.slots.answered_at[after], late).min()),
            dark=self._last_seen_dark(moment),
        )

    def _last_seen_dark(self, before: int) -> int:
        """When the last probe before ``before`` was sent that was not answered within an interval."""
        requests = self.slots.requests
        answered = requests.ok & (requests.t_done - requests.t_sent <= self.grid.interval)
        unanswered = requests.t_sent[(requests.t_sent <= before) & ~answered]
        return int(unanswered.max()) if len(unanswered) else before

    def answered_s(self, begin: int) -> float:
        """Seconds from ``begin`` until a recovery had certainly been seen; 0 where there was no outage."""
        if self.worst is None or self.worst.at_once:
            return 0.0
        return (self.worst.answered - begin) / SECOND

    def too_little(self) -> str | None:
        """Why no window can be judged; None where one can."""
        window_s = self.settings.window_s
        if self.length < LEAST_PROBES:
            return f"A window of {window_s:g} s holds {self.length} probes; it takes {LEAST_PROBES} to judge it."
        if len(self.slots) < self.length:
            seconds = len(self.slots) * self.grid.interval_s
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


def _measure(name: str, what: str, probed: Probed, fault: tuple[int, float]) -> Measure:
    """``fault``: when its injection was acknowledged (ns), and the recovery time from its begin (s)."""
    injected, from_begin_s = fault
    measure = Measure(
        name=name,
        value=None,
        unit="s",
        resolution=probed.grid.interval_s,
        evidence=_evidence(probed, injected),
    )
    best, worst, resolution = probed.best, probed.worst, probed.grid.interval_s
    if best is None:
        seconds = (int(probed.slots.t[-1]) + probed.grid.interval - injected) / SECOND
        reason = f"The {what} had not recovered for good when the trial ended, {seconds:.2f} s after the fault."
        return replace(measure, value=seconds, censored=True, reason=reason)
    least = best.seconds_since(injected)
    earliest = 0.0 if best.at_once else min(least, (best.dark - injected) / SECOND) - resolution
    if worst is None:
        reason = _unseen(probed, "so it is not known whether the service recovered")
        return replace(measure, possible=(least, UNSETTLED), reason=reason)
    most = worst.seconds_since(injected)
    tolerated = 1 + floor((1 - probed.settings.success_ratio) * probed.length + 1e-9)
    sure = least == most
    return replace(
        measure,
        value=most,
        interval=(max(0.0, earliest), max(from_begin_s, most, tolerated * resolution)),
        possible=None if sure else (least, most),
        reason=_tolerated(probed) if sure else _unseen(probed, "so the value is their worst case"),
    )


def _evidence(probed: Probed, injected: int) -> dict[str, object]:
    best, worst = probed.readings
    failed = probed.slots.t[worst == FAILED]
    return {
        "probes": len(probed.slots),
        "failed": int(np.count_nonzero(best == FAILED)),
        "slow": int(np.count_nonzero(worst == SLOW)),
        "unobserved": probed.unseen,
        "first_failed_s": (int(failed[0]) - injected) / SECOND if len(failed) else None,
        "last_failed_s": (int(failed[-1]) - injected) / SECOND if len(failed) else None,
    }


def _tolerated(probed: Probed) -> str | None:
    failed = int(np.count_nonzero(probed.readings[1] == FAILED))
    if probed.worst is not None and probed.worst.at_once and failed:
        return f"{failed} of {len(probed.slots)} probes failed, too few in any window to count as an outage."
    return None


def _unseen(probed: Probed, consequence: str) -> str:
    total = len(probed.slots)
    return f"The fate of {probed.unseen} of {total} probes is not known (the prober was held up), {consequence}."
