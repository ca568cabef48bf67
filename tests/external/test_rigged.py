"""Services that deceive, each drilled through the command line, and what recdr must say of them and why."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pyarrow import parquet

from drills.recording.record import read_events
from tests.external.conftest import Change, Drilled
from tests.external.rigged import NOTICED_S, RIGS
from tests.external.services import Told, step

pytestmark = pytest.mark.slow


def _recdr(drill: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = drill["extensions"][0]
    return found


def without_write(drill: dict[str, Any], port: int) -> None:
    for part in ("write", "read_back"):
        del _recdr(drill)["service"][part]
    for name in ("rto_write_s", "rpo_events", "duplicated_events"):
        del _recdr(drill)["objectives"][name]


def with_one_door(drill: dict[str, Any], port: int) -> None:
    del _recdr(drill)["service"]["regions"]["standby"]
    for name in ("rpo_events", "duplicated_events"):
        del _recdr(drill)["objectives"][name]


def without_check(drill: dict[str, Any], port: int) -> None:
    for one in drill["method"]:
        del one["provider"]["arguments"]["check"]


def without_check_of_availability(drill: dict[str, Any], port: int) -> None:
    without_check(drill, port)
    _recdr(drill)["objectives"] = {"availability": {"min": 0.5}}


def forbidding_split_brain(drill: dict[str, Any], port: int) -> None:
    _recdr(drill)["objectives"]["split_brain_events"] = {"max": 0}


def with_a_hook_that_hangs(drill: dict[str, Any], port: int) -> None:
    _recdr(drill)["service"]["hooks"] = {"promote": {"command": ["sh", "-c", "sleep 60 & sleep 60"], "timeout_s": 1}}
    promote = {"type": "python", "module": "drills.faults.hooks", "func": "promote"}
    drill["method"].insert(1, {"type": "action", "name": "promote-the-standby", "provider": promote})


def read_back_by_id(drill: dict[str, Any], port: int) -> None:
    _recdr(drill)["service"]["read_back"] = {"path": "/events/{id}"}
    del _recdr(drill)["objectives"]["duplicated_events"]


def by_methods_that_may_be_repeated(drill: dict[str, Any], port: int) -> None:
    service = _recdr(drill)["service"]
    service["read"] = {"path": "/recommend?user={user}&k={k}", "ids": "$.items"}
    service["write"] = {"path": "/events/{id}", "method": "PUT", "body": {}, "acknowledged": "$.stored"}
    _recdr(drill)["load"] = {"rate": 20, "users": 5, "mix": {"recommend": 0.5, "search": 0, "event": 0.5}}


def without_lists(drill: dict[str, Any], port: int) -> None:
    del _recdr(drill)["objectives"]["overlap_at_20"]


def in_other_ways(drill: dict[str, Any], port: int) -> None:
    by_methods_that_may_be_repeated(drill, port)
    read_back_by_id(drill, port)
    without_check(drill, port)


def with_a_second_fault_that_does_nothing(drill: dict[str, Any], port: int) -> None:
    nothing = {"command": ["true"]}
    fault = {"inject": nothing, "heal": nothing, "check": {"command": ["false"]}, "what": "nothing at all"}
    drill["method"].insert(1, step("inject", fault, 0.5) | {"name": "break-nothing"})


def with_two_trials(drill: dict[str, Any], port: int) -> None:
    _recdr(drill)["trials"] = 2


def with_the_same_fault_again(drill: dict[str, Any], port: int) -> None:
    drill["method"].insert(1, copy.deepcopy(drill["method"][0]) | {"name": "lose-it-again"})
    drill["method"][0]["pauses"]["after"] = 0.5


def without_heal(drill: dict[str, Any], port: int) -> None:
    del drill["method"][1]


@dataclass(frozen=True)
class Case:
    """A rig, how its drill differs from the usual one, and what must come of it.

    ``objectives``: the outcomes that are not PASS. ``reason``: words in the verdict's reasons.
    """

    name: str
    outcome: str
    objectives: dict[str, str]
    reason: str
    rig: str = ""
    change: Change | None = None
    also: Callable[[Told], None] | None = None


def never_recovered_before_the_heal(measure: str, least_s: float = 2.5) -> Callable[[Told], None]:
    """The fault is healed after 3 s."""

    def check(told: Told) -> None:
        assert told.measure(measure)["value"] > least_s

    return check


def lost_only_by(region: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        lost = told.measure("rpo_events")["evidence"]["lost_by_region"]
        assert [name for name, count in lost.items() if count] == [region]

    return check


def seen_by_the_prober(told: Told) -> None:
    (effect,) = [event for event in read_events(told.run / "events.jsonl") if event.kind == "fault.effect"]
    assert "a write through the edge failed: HTTP 503" in effect.data["evidence"]


def no_write_is_measured(told: Told) -> None:
    for name in ("rpo_events", "rto_write_s", "failed_writes", "duplicated_events", "split_brain_events", "rpo_s"):
        assert told.verdict["measures"].get(name, {"value": None})["value"] is None


def nothing_was_read_back(told: Told) -> None:
    assert told.measure("rpo_events")["value"] is None
    assert told.measure("duplicated_events")["value"] is None


def nothing_is_counted_by_id(told: Told) -> None:
    assert "duplicated_events" not in told.verdict["measures"]
    assert told.measure("rpo_events")["evidence"]["unexpected"] is None


def stored_twice(told: Told) -> None:
    assert "stored more than once" in told.reasons


def torn_at_both(told: Told) -> None:
    nothing_was_read_back(told)
    assert "The event log of standby is not known: reading it back failed (HTTP 500)" in told.reasons


def no_excuse_counts(told: Told) -> None:
    """Each of them is told apart, and not a single read or write of the standby counts as answered."""
    reads_back_late(told)
    never_recovered_before_the_heal("rto_write_s")(told)
    events = read_events(told.run / "events.jsonl")
    (lost,) = (event.t for event in events if event.kind == "fault.injected")
    (back,) = (event.data["t_begin"] for event in events if event.kind == "fault.healed")
    answers = [
        row
        for row in parquet.read_table(told.run / "requests.parquet").to_pylist()
        if lost + 1e9 * (NOTICED_S + 0.2) < row["t_sent"] and row["t_done"] < back
    ]
    assert [row for row in answers if row["error"] is None] == []
    found = Counter(row["error"] for row in answers)
    assert found.keys() == {"empty", "http", "unreadable", "reset", "timeout", "unacknowledged"}, found


def no_list_is_as_good(told: Told) -> None:
    """One kind of the three taken for good would make it a third at least."""
    assert told.measure("overlap_at_20")["evidence"]["by_region"]["standby"] < 0.33


def nothing_came_twice(told: Told) -> None:
    assert told.measure("duplicated_events")["value"] == 0
    assert told.measure("failed_writes")["value"] > 5


READS = {"rto_read_s": "FAIL"}
NEITHER = {**READS, "rto_write_s": "FAIL"}
DOWN = {**NEITHER, "availability": "FAIL"}


def only_one_of_them(told: Told) -> None:
    seen = {fault["arguments"]["what"]: fault["effect_observed"] for fault in told.verdict["trials"][0]["faults"]}
    assert seen == {"the primary is lost": True, "nothing at all": False}


def not_the_first(told: Told) -> None:
    assert [trial["outcome"] for trial in told.verdict["trials"]] == ["PASS", "UNKNOWN"]
    assert [trial["faults"][0]["heal_confirmed"] for trial in told.verdict["trials"]] == [True, True]


def healed_by_recdr(told: Told) -> None:
    (fault,) = told.verdict["trials"][0]["faults"]
    assert fault["heal_confirmed"], fault
    assert told.verdict["trials"][0]["phases"]["healed"] > 2.5


UNREAD = {"rpo_events": "UNKNOWN", "duplicated_events": "UNKNOWN"}
LISTS = {"overlap_at_20": "FAIL"}
LOST = {"rpo_events": "FAIL"}
reads_back_late = never_recovered_before_the_heal("rto_read_s")
# It works for a second between two failures, and the heal may come at the end of that.
reads_back_between_two_failures = never_recovered_before_the_heal("rto_read_s", 1.9)

CASES = [
    # Those that take long go first: most of their time they wait, and others are measured meanwhile.
    Case("EndlessReadBack", "UNKNOWN", UNREAD, "no end of its log", also=nothing_was_read_back),
    Case("NeverBack", "UNKNOWN", UNREAD, "not confirmed that the fault custom"),
    Case("TornReadBack", "UNKNOWN", UNREAD, "'0' came twice: its pages have no end", also=torn_at_both),
    Case("ForgetsLater", "FAIL", LOST, "region lost", also=lost_only_by("primary")),
    Case("Honest", "PASS", {}, "All 6 objectives were met"),
    Case("HonestInOtherWays", "PASS", {}, "All 5", "Honest", in_other_ways, nothing_is_counted_by_id),
    Case("Careless", "FAIL", {**LOST, "duplicated_events": "FAIL"}, "that a region lost", also=stored_twice),
    Case("OneRegion", "FAIL", LOST, "acknowledged events that a region lost"),
    Case("Forgetful", "FAIL", LOST, "region lost", also=lost_only_by("primary")),
    Case("Excuses", "FAIL", DOWN, "until reads worked again", also=no_excuse_counts),
    Case("Flaps", "FAIL", NEITHER, "until reads worked again", also=reads_back_between_two_failures),
    Case("Dead", "FAIL", DOWN, "until reads worked again", also=reads_back_late),
    Case("Frozen", "UNKNOWN", {}, "one and the same list"),
    Case("FrozenAfter", "FAIL", LISTS, "overlap of the first 20"),
    Case("Poor", "FAIL", LISTS, "overlap of the first 20", also=no_list_is_as_good),
    Case("TwoMasters", "FAIL", {"split_brain_events": "FAIL"}, "split_brain_events", change=forbidding_split_brain),
    Case("LyingHeader", "UNKNOWN", UNREAD, "primary answered", also=nothing_was_read_back),
    Case("OneDoor", "PASS", {}, "All 4", "Honest", with_one_door, nothing_was_read_back),
    Case("OneDoorForTwo", "UNKNOWN", UNREAD, "lead to one region: 'eu-1' answered at both", also=nothing_was_read_back),
    Case("HaveAll", "UNKNOWN", {"rpo_events": "UNKNOWN"}, "an event that nobody sent", change=read_back_by_id),
    Case(
        "HalfDeaf",
        "FAIL",
        NEITHER,
        "until reads worked again",
        change=by_methods_that_may_be_repeated,
        also=nothing_came_twice,
    ),
    Case("Rotates", "UNKNOWN", {}, "the same items, in 3 different orders", change=without_lists),
    Case("NoWrite", "PASS", {}, "All 3 objectives were met", "Honest", without_write, no_write_is_measured),
    Case("Unmoved", "UNKNOWN", {}, "no observable effect"),
    Case(
        "OneOfTwo",
        "UNKNOWN",
        {},
        "The fault custom (nothing at all) was injected but had no observable effect",
        "Honest",
        with_a_second_fault_that_does_nothing,
        only_one_of_them,
    ),
    Case(
        "Learns",
        "UNKNOWN",
        {},
        "Trial 2: The fault custom (the primary is lost) was injected but had no observable effect",
        change=with_two_trials,
        also=not_the_first,
    ),
    Case("Again", "UNKNOWN", {}, "lose-it-again failed", "Honest", with_the_same_fault_again),
    Case("HealedAtTheEnd", "PASS", {}, "All 6 objectives were met", "Honest", without_heal, healed_by_recdr),
    Case("ActiveActive", "UNKNOWN", {}, "no observable effect", change=without_check),
    Case("Flaky", "UNKNOWN", {}, "no observable effect", change=without_check_of_availability),
    Case(
        "Unwritten",
        "FAIL",
        {"rto_write_s": "FAIL"},
        "until writes worked again",
        change=without_check,
        also=seen_by_the_prober,
    ),
    Case("HangingHook", "UNKNOWN", {}, "did not end within 1 s", "Honest", with_a_hook_that_hangs),
]


@pytest.fixture(scope="module", autouse=True)
def all_started(drilled: Drilled, request: pytest.FixtureRequest) -> None:
    """The drills of all cases that were chosen, in their order."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = {case.name for given in parameters if isinstance(case := given.get("case"), Case)}
    for case in CASES:
        if case.name in chosen:
            drilled.start(case.name, case.rig or case.name, case.change)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_judged_for_the_right_reason(drilled: Drilled, case: Case) -> None:
    told = drilled.told(case.name)
    assert told.verdict, told.said
    assert told.outcome == case.outcome, told.reasons
    assert told.code == {"PASS": 0, "FAIL": 1, "UNKNOWN": 3}[case.outcome]
    assert {name: outcome for name, outcome in told.judged().items() if outcome != "PASS"} == case.objectives
    assert case.reason in told.reasons
    if case.also:
        case.also(told)


def test_every_rig_is_judged() -> None:
    assert {case.rig or case.name for case in CASES} == set(RIGS)
