"""When recommendations were as good as before again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.phases import SECOND, moments
from drills.measures.quality import STREAM, answered, baseline_hits, paired
from drills.measures.recovery import sustained_from, windows_within
from drills.measures.rto import recovered_at
from drills.measures.schedule import Grid, Slot, grid, slots
from drills.record import Timeline

NAME = "rto_quality_s"


def rto_quality(timeline: Timeline, settings: Settings) -> Measure:
    """Seconds from the acknowledged injection until every later window reaches its share of the baseline.

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
    earlier = [
        slot
        for slot in slots(timeline, STREAM, schedule, schedule.anchor, at.begin)
        if all(r.t_done < at.begin for r in slot.requests)
    ]
    due = slots(timeline, STREAM, schedule, at.injected, at.end - round(settings.settle_s * SECOND))
    asked = Asked(due, hits, settings, schedule)
    trouble = asked.too_little() or Asked(earlier, hits, settings, schedule).unsteady()
    return unknown(NAME, trouble) if trouble else _measure(asked, at.injected)


@dataclass(frozen=True)
class Asked:
    """A stretch of quality slots beside the baseline's hits."""

    slots: list[Slot]
    hits: dict[str, int]
    settings: Settings
    grid: Grid

    def surpluses(self) -> list[tuple[float, float]]:
        """By how much each slot's recall exceeds the share of the baseline's: at most and at least."""
        return [self._surplus(slot) for slot in self.slots]

    def too_little(self) -> str | None:
        users = {r.id for slot in self.slots for r in slot.requests if answered(r) and r.id in self.hits}
        window, least = self.settings.quality_window, self.settings.min_users
        if len(self.slots) >= window and len(users) >= least:
            return None
        return (
            f"After the fault {len(users)} held-out users were answered in {len(self.slots)} requests; "
            f"{least} and {window} are needed."
        )

    def unsteady(self) -> str | None:
        if self.slots and sum(least for _, least in self.surpluses()) >= -1e-9:
            return None
        return "Before the fault the quality was not seen to be as good as in the baseline."

    def recovery_s(self, injected: int, *, hopeful: bool) -> float | None:
        """Seconds until the sustained return of quality; None where it did not return."""
        surpluses = [most if hopeful else least for most, least in self.surpluses()]
        good = [any(answered(r) for r in slot.requests) or (hopeful and not known(slot)) for slot in self.slots]
        first = sustained_from(good, windows_within([-s for s in surpluses], self.settings.quality_window, 0.0))
        if first is None:
            return None
        after = (slot for slot, ok in zip(self.slots[first:], good[first:], strict=True) if ok)
        return 0.0 if first == 0 else max(0, min(recovered_at(s, self.grid) for s in after) - injected) / SECOND

    def _surplus(self, slot: Slot) -> tuple[float, float]:
        if not known(slot):
            return 1.0, -self.settings.quality_ratio
        request = slot.requests[0]
        answer = paired(request, self.hits)
        surplus = (answer.recall if answered(request) else 0.0) - self.settings.quality_ratio * answer.baseline
        return surplus, surplus


def known(slot: Slot) -> bool:
    """Whether the fate of the slot's request was recorded."""
    return any(r.error != "not_sent" for r in slot.requests)


def _measure(asked: Asked, injected: int) -> Measure:
    best, worst = asked.recovery_s(injected, hopeful=True), asked.recovery_s(injected, hopeful=False)
    unseen, interval_s = sum(not known(slot) for slot in asked.slots), asked.grid.interval_s
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
        end_s = (asked.slots[-1].t + asked.grid.interval - injected) / SECOND
        reason = f"Recommendations were not as good as before when the trial ended, {end_s:.2f} s after the fault."
        return replace(measure, value=end_s, censored=True, reason=reason)
    if worst is None:
        return replace(measure, possible=(best, UNSETTLED))
    interval = (max(0.0, best - interval_s), worst + interval_s)
    return replace(measure, interval=interval, possible=(best, worst) if best != worst else None)
