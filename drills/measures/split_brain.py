"""Split brain: two regions acknowledging writes in turn, where one clean switch-over cannot explain it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.schedule import unobserved
from drills.recording.record import Event, Request
from drills.recording.timeline import Flags, Ints, Requests, Timeline

SAMPLE = 20


def split_brain_events(timeline: Timeline, settings: Settings) -> Measure:
    """How often a region took up acknowledging again after another one had, without a hand-over.

    An acknowledgement ``a`` of region X counts where X had acknowledged, then another region certainly did
    (the later request was sent after the earlier answer had come), then X did again with ``a``, and no
    hand-over to X lies in between. What X goes on to acknowledge after ``a`` counts no more until the other
    region has again. Overlapping requests prove no order and are not counted.
    """
    requests = timeline.requests
    acks = requests.where(requests.op.equals("event") & requests.ok)
    placed = acks.where(acks.region.known)
    if not len(acks):
        return unknown("split_brain_events", "No write was acknowledged.")
    returns = placed.where(_unexplained(placed, _handovers(timeline)))
    unseen = sum(unobserved(timeline, "probe_write", phase, settings) for phase in ("before", "post_fault"))
    unseen += len(acks) - len(placed)
    evidence: dict[str, object] = {
        "acknowledged_by": placed.region.counts(),
        "interleaved_by": returns.region.counts(),
        "ids": [r.id for r in sorted(returns.where(_first_sent(returns)), key=_sending)[:SAMPLE]],
    }
    if unseen:
        return Measure(
            name="split_brain_events",
            value=None,
            unit="events",
            possible=(len(returns), UNSETTLED),
            reason=f"For {unseen} writes it is not known which region acknowledged them, if any.",
            evidence=evidence,
        )
    return Measure(name="split_brain_events", value=len(returns), unit="events", resolution=1, evidence=evidence)


class Handover(NamedTuple):
    """At some moment from ``begin`` to ``end`` (ns) writing passed to ``region``; None: to some region."""

    begin: int
    end: int
    region: str | None


def _unexplained(acks: Requests, handovers: list[Handover]) -> Flags:
    """Which acknowledgements return to their region without a hand-over. [n]"""
    found = np.zeros(len(acks), np.bool_)
    places = {region: np.flatnonzero(acks.region.equals(region)) for region in acks.region.counts()}
    for own, returning in places.items():
        first_done = int(acks.t_done[returning].min())
        mine = [h for h in handovers if h.region in (None, own)]
        begins = np.sort(np.array([h.begin for h in mine], dtype=np.int64))
        ends = np.sort(np.array([h.end for h in mine], dtype=np.int64))
        for other, theirs in places.items():
            if other == own:
                continue
            order = theirs[np.argsort(acks.t_done[theirs], kind="stable")]
            # The latest certain moment of sending among what the other region had acknowledged by then.
            latest = np.maximum.accumulate(acks.t_sent[order])
            before = np.searchsorted(acks.t_done[order], acks.t_sent[returning], side="left")
            since = latest[np.maximum(before, 1) - 1]
            # Those that began before the answer came, without those that were over before ``since``.
            handed_over = np.searchsorted(begins, acks.t_done[returning], side="right") > np.searchsorted(ends, since)
            taken_up = ~_goes_on(acks.t_sent[returning], acks.t_done[returning], since)
            found[returning] |= (before > 0) & (first_done < since) & ~handed_over & taken_up
    return found


def _goes_on(sent: Ints, done: Ints, since: Ints) -> Flags:
    """Whether the region had certainly acknowledged before each of its acknowledgements, but after ``since``. [n]"""
    order = np.argsort(sent, kind="stable")
    earliest_done = np.minimum.accumulate(done[order][::-1])[::-1]  # among those sent then or later
    first_after = np.searchsorted(sent[order], since, side="right")
    # One that was sent last of all has nobody after it: itself then, which never precedes itself.
    return np.asarray(earliest_done[np.minimum(first_after, len(sent) - 1)] < sent)


def _first_sent(acks: Requests) -> Flags:
    """Those that can be among the first to be shown; only for them rows are made. [n]"""
    if len(acks) <= SAMPLE:
        return np.ones(len(acks), np.bool_)
    return np.asarray(acks.t_sent <= np.partition(acks.t_sent, SAMPLE - 1)[SAMPLE - 1])


def _sending(ack: Request) -> tuple[int, int, str]:
    return ack.t_sent, ack.t_done, ack.id or ""


def _handovers(timeline: Timeline) -> list[Handover]:
    """When and to which region the right to acknowledge was handed over.

    Promotions say so. Where none is reported, each fault and each heal may have caused one switch.
    """
    events = [e for e in timeline.events if e.trial is not None]
    promoted = [Handover(_begin(e), e.t, str(e.data.get("region"))) for e in events if e.kind == "store.promoted"]
    if promoted:
        return promoted
    return [Handover(_begin(e), e.t, None) for e in events if e.kind in ("fault.injected", "fault.healed")]


def _begin(event: Event) -> int:
    return min(event.t, int(event.data.get("t_begin", event.t)))
