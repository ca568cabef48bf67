"""Each injection counts by itself: which effect and which heal belong to it, and from when on it was healed."""

from __future__ import annotations

from typing import Any

import pytest

from drills.measures.phases import moments
from drills.measures.problems import faults, of_trial
from drills.measures.uses import uses
from drills.recording.record import Event
from tests.measures.literal import event, ns, timeline, usual_events

OTHER = {"fault": "partition", "arguments": {"a": "primary", "b": "edge"}}
WIDER = {"fault": "partition", "arguments": {"a": "primary", "b": "edge,standby"}}


def used(
    fault: dict[str, Any], at: float, *, seen: bool = True, healed_at: float, confirmed: bool = True
) -> list[Event]:
    """One use of ``fault`` from beginning to end."""
    return [
        event("fault.intent", at - 0.02, **fault),
        event("fault.injected", at, **fault, t_begin=ns(at - 0.01), t_ack=ns(at)),
        event("fault.effect", at + 0.1, **fault, observed=seen, evidence=f"looked at {at}"),
        event("fault.healed", healed_at, **fault, t_begin=ns(healed_at - 0.1), t_ack=ns(healed_at)),
        event("heal.confirmed", healed_at + 0.1, **fault, confirmed=confirmed, evidence=f"healed at {healed_at}"),
    ]


def of(*added: list[Event]) -> Any:
    every = sorted([*usual_events(), *(e for each in added for e in each)], key=lambda e: e.t)
    return timeline([], events=every)


def problems(seen: Any) -> list[str]:
    return [said for said in of_trial(seen).invalid if not said.startswith("No probe")]


def test_two_faults_that_were_seen_and_healed_are_no_problem() -> None:
    assert problems(of(used(OTHER, 12, healed_at=18))) == []


def test_one_of_two_faults_without_effect_is_named() -> None:
    (said,) = problems(of(used(OTHER, 12, seen=False, healed_at=18)))
    assert said == "The fault partition (a: primary, b: edge) was injected but had no observable effect: looked at 12."


def test_one_of_two_heals_that_was_not_confirmed_is_named() -> None:
    (said,) = problems(of(used(OTHER, 12, healed_at=18, confirmed=False)))
    assert said == "It was not confirmed that the fault partition (a: primary, b: edge) was healed: healed at 18."


def test_overlapping_faults_of_one_kind_are_told_apart_by_their_arguments() -> None:
    seen = of(used(OTHER, 11, healed_at=15), used(WIDER, 12, healed_at=17, confirmed=False))
    (said,) = problems(seen)
    assert "b: edge,standby" in said
    assert [fault["heal_confirmed"] for fault in faults(seen)] == [True, True, False]


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
def test_a_fault_used_twice_is_seen_and_healed_each_time_or_not(first: bool, second: bool) -> None:
    seen = of(
        used(OTHER, 11, seen=first, healed_at=13, confirmed=second),
        used(OTHER, 14, seen=second, healed_at=16, confirmed=first),
    )
    effect, heal = problems(seen)
    assert effect.endswith(f"looked at {11 if second else 14}.")
    assert heal.endswith(f"healed at {13 if first else 16}.")


def test_a_use_that_nobody_looked_at_does_not_borrow_the_next_ones_effect() -> None:
    blind = [e for e in used(OTHER, 11, healed_at=13) if e.kind != "fault.effect"]
    assert problems(of(blind, used(OTHER, 14, healed_at=16))) == [
        "Nobody looked whether the fault partition (a: primary, b: edge) took effect."
    ]


def test_one_heal_after_two_injections_heals_both() -> None:
    first = [e for e in used(OTHER, 11, healed_at=13) if e.kind not in ("fault.healed", "heal.confirmed")]
    seen = of(first, used(OTHER, 14, healed_at=16))
    assert problems(seen) == []
    assert [use.healed.t for use in uses(seen.events) if use.healed] == [ns(20), ns(16), ns(16)]


def test_it_was_healed_when_the_heal_that_was_confirmed_was_done() -> None:
    """As where the drill's own heal was in vain and only recdr's at the end was seen to work."""
    again = used(OTHER, 12, healed_at=18, confirmed=False)
    at_the_end = [
        event("fault.healed", 26, **OTHER, t_begin=ns(25), t_ack=ns(26)),
        event("heal.confirmed", 27, **OTHER, confirmed=True, evidence="now it is"),
        event("fault.healed", 28, **OTHER, t_begin=ns(28), t_ack=ns(28)),
    ]
    seen = of(again, at_the_end)
    assert problems(seen) == []
    assert moments(seen).healed == ns(26)
    assert faults(seen)[1]["heal"] == "now it is"
    assert moments(of(again)).healed == ns(20), "of one that was never confirmed the first heal counts"
