"""Split brain: two regions acknowledging writes in turn, where one clean switch-over cannot explain it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from drills.measures.model import UNSETTLED, Measure, Settings, unknown
from drills.measures.schedule import unobserved
from drills.record import Request, Timeline


def split_brain_events(timeline: Timeline, settings: Settings) -> Measure:
    """How many acknowledgements of one region certainly followed one of another without a hand-over.

    An acknowledgement ``a`` of region X counts where X had acknowledged, then another region certainly did
    (the later request was sent after the earlier answer had come), then X did again with ``a``, and no
    hand-over to X lies in between. Overlapping requests prove no order and are not counted.
    """
    acks = [r for r in timeline.requests if r.op == "event" and r.ok]
    placed = [r for r in acks if r.region is not None]
    if not acks:
        return unknown("split_brain_events", "No write was acknowledged.")
    returns = _unexplained(placed, _handovers(timeline))
    unseen = sum(unobserved(timeline, "probe_write", phase, settings) for phase in ("before", "post_fault"))
    unseen += len(acks) - len(placed)
    evidence: dict[str, object] = {
        "acknowledged_by": dict(sorted(Counter(str(r.region) for r in placed).items())),
        "interleaved_by": dict(sorted(Counter(str(r.region) for r in returns).items())),
        "ids": [r.id for r in returns[:20]],
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


def _unexplained(acks: list[Request], handovers: list[tuple[int, str | None]]) -> list[Request]:
    """The acknowledgements that return to their region without a hand-over, in order of their sending."""
    regions = {str(r.region) for r in acks}
    by_done = {
        region: sorted((r for r in acks if r.region == region), key=lambda r: (r.t_done, r.t_sent))
        for region in regions
    }
    first_done = {region: rows[0].t_done for region, rows in by_done.items()}
    done = {region: [r.t_done for r in rows] for region, rows in by_done.items()}
    latest_sent = {region: _running_maximum([r.t_sent for r in rows]) for region, rows in by_done.items()}
    found = []
    for ack in sorted(acks, key=lambda r: (r.t_sent, r.t_done, r.id or "")):
        for other in regions - {str(ack.region)}:
            before = bisect_left(done[other], ack.t_sent)
            if not before or first_done[str(ack.region)] >= latest_sent[other][before - 1]:
                continue
            since = latest_sent[other][before - 1]
            if not any(since <= t <= ack.t_done and to in (None, ack.region) for t, to in handovers):
                found.append(ack)
                break
    return found


def _running_maximum(values: list[int]) -> list[int]:
    highest, result = values[0], []
    for value in values:
        highest = max(highest, value)
        result.append(highest)
    return result


def _handovers(timeline: Timeline) -> list[tuple[int, str | None]]:
    """When and to which region the right to acknowledge was handed over.

    Promotions say so. Where none is reported, each fault and each heal may have caused one switch.
    """
    events = [e for e in timeline.events if e.trial is not None]
    promoted = [(e.t, str(e.data.get("region"))) for e in events if e.kind == "store.promoted"]
    if promoted:
        return [(t, region) for t, region in promoted]
    return [(e.t, None) for e in events if e.kind in ("fault.injected", "fault.healed")]
