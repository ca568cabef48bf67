"""Which acknowledgements one clean switch-over explains, and which it does not."""

from __future__ import annotations

import math
from typing import Any

from drills.measures import Measure, Settings
from drills.measures.split_brain import split_brain_events
from drills.recording.record import Request
from tests.measures.literal import event, ns, request, timeline, usual_events

BARE = [event("fault.injected", 10, fault="partition"), event("fault.healed", 20, fault="partition")]


def ack(second: float, region: str | None, **given: Any) -> Request:
    return request(second, stream="load", op="event", id=f"run-1-{second}", region=region, **given)


def split(acks: list[Request], *promoted: tuple[float, str], events: Any = None) -> Measure:
    told = [event("store.promoted", at, region=region) for at, region in promoted]
    return split_brain_events(timeline(acks, events=[*(events or usual_events()), *told]), Settings())


def test_one_switch_over_is_none() -> None:
    acks = [ack(1, "primary"), ack(2, "primary"), ack(11, "standby"), ack(12, "standby")]
    assert split(acks, (10.5, "standby")).value == 0
    assert split(acks).value == 0


def test_acknowledging_in_turn_is_split_brain() -> None:
    acks = [
        ack(1, "primary"),
        ack(11, "standby"),
        ack(11.1, "primary"),
        ack(11.2, "standby"),
        ack(11.3, "primary"),
    ]
    measure = split(acks, (10.5, "standby"))
    assert measure.value == 3
    assert measure.evidence["interleaved_by"] == {"primary": 2, "standby": 1}
    assert measure.evidence["ids"] == ["run-1-11.1", "run-1-11.2", "run-1-11.3"]


def test_a_single_stale_acknowledgement_is_found() -> None:
    assert split([ack(1, "primary"), ack(11, "standby"), ack(12, "primary")], (10.5, "standby")).value == 1


def test_a_hand_over_takes_as_long_as_the_command_that_does_it() -> None:
    """The switch happens somewhere between its begin and its acknowledgement."""
    acks = [ack(1, "primary"), ack(11, "standby"), ack(24.5, "primary"), ack(26, "primary")]
    events = [*usual_events(), event("store.promoted", 25.5, region="primary", t_begin=ns(24))]
    assert split(acks, (10.5, "standby"), events=events).value == 0
    late = [*usual_events(), event("store.promoted", 25.5, region="primary", t_begin=ns(25))]
    assert split(acks, (10.5, "standby"), events=late).value == 1


def test_what_goes_on_without_the_other_counts_once() -> None:
    acks = [ack(1, "primary"), ack(11, "standby"), *(ack(12 + n / 10, "primary") for n in range(20))]
    measure = split(acks, (10.5, "standby"))
    assert (measure.value, measure.evidence["ids"]) == (1, ["run-1-12.0"])


def test_acknowledgements_side_by_side_at_the_return_all_count() -> None:
    """Neither of two overlapping ones is certainly the first."""
    acks = [ack(1, "primary"), ack(11, "standby"), ack(12, "primary", latency_s=0.3), ack(12.1, "primary")]
    assert split(acks, (10.5, "standby")).value == 2


def test_a_promotion_back_explains_the_return() -> None:
    acks = [ack(1, "primary"), ack(11, "standby"), ack(25, "primary"), ack(26, "primary")]
    assert split(acks, (10.5, "standby"), (24, "primary")).value == 0


def test_a_promotion_before_the_other_acknowledged_explains_nothing() -> None:
    acks = [ack(1, "primary"), ack(11, "standby"), ack(25, "primary")]
    assert split(acks, (10.5, "standby"), (10.8, "primary")).value == 1


def test_overlapping_requests_prove_no_order() -> None:
    acks = [ack(1, "primary"), ack(11, "standby", latency_s=0.5), ack(11.2, "primary", latency_s=0.5)]
    assert split(acks, (10.5, "standby")).value == 0


def test_without_promotions_each_fault_and_heal_allows_one_switch() -> None:
    acks = [ack(1, "primary"), ack(11, "standby"), ack(25, "primary")]
    assert split(acks, events=BARE).value == 0
    assert split([*acks, ack(26, "standby"), ack(27, "primary")], events=BARE).value == 2


def test_an_acknowledgement_without_a_region_leaves_it_unknown() -> None:
    measure = split([ack(1, "primary"), ack(2, None)])
    assert (measure.value, measure.possible) == (None, (0, math.inf))
    assert measure.reason == "For 1 writes it is not known which region acknowledged them, if any."


def test_no_acknowledgement_is_unknown() -> None:
    assert split([]).value is None
