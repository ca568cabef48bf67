"""The verdict for somebody who was not there: on literal runs."""

from __future__ import annotations

from typing import Any

import pytest

from drills.faults import catalogue
from reports import story, wording
from reports.findings.well import went_well
from tests.reports.literal import event, facts, fault, measure, outage, requests, trial

GOOD = {
    "rto_read_s": outage(0.0, 1.0),
    "rto_write_s": outage(0.96, 3.0),
    "rpo_events": measure(0, "events", objective={"max": 0}, outcome="PASS"),
    "recall_at_20": measure(0.327, "ratio", baseline=0.327, objective={"min_ratio": 0.98}, outcome="PASS"),
}


def test_a_passing_drill_says_what_broke_who_was_hurt_what_was_lost_and_what_stayed_good() -> None:
    assert wording.sentence(facts(trial(GOOD, asked=requests((0.0, 0.96))))) == (
        "All 4 objectives were met. On purpose, the whole primary region was lost; that was undone after 16.0 s. "
        "No disturbance of reads was seen; writes failed for 0.96 s. No acknowledged event was lost. Recommendations "
        "stayed as good as in the baseline (recall@20 0.327, baseline 0.327)."
    )


def test_a_missed_objective_comes_first_and_is_not_repeated() -> None:
    lost = GOOD | {"rpo_events": measure(82, "events", objective={"max": 0}, outcome="FAIL")}
    said = wording.sentence(facts(trial(lost, asked=requests((0.0, 0.96)))))
    assert said.startswith("1 of 4 objectives was missed: acknowledged events lost: 82 (allowed at most 0). On purpose")
    assert said.count("82") == 1


def test_an_outage_that_came_back_is_not_told_as_one() -> None:
    twice = GOOD | {"rto_write_s": outage(17.0, 3.0)}
    said = story.hurt(facts(trial(twice, asked=requests((0.0, 0.9), (16.2, 17.0)))))
    assert "writes failed from 0.0 to 0.9 s and from 16.2 to 17.0 s after the fault" in said
    assert said.endswith("(healing began at 15.9 s)")


def test_failures_that_the_probes_did_not_meet_are_told_all_the_same() -> None:
    """An RTO is that of the probes: other clients' reads may fail while it is 0."""
    others = facts(trial(GOOD, asked=requests((2.0, 9.0), write=False)))
    assert "reads never stopped working for long, but 350 of 1,500 (23 %) failed from the fault on" in story.hurt(
        others
    )
    found = went_well(others)
    assert found is not None
    assert "disturbance" not in f"{found.title} {found.text}"
    calm = went_well(facts(trial(GOOD, asked=requests(write=False))))
    assert calm is not None
    assert "No disturbance of reads was seen" in f"{calm.title} {calm.text}"


def test_what_was_not_observed_is_said_to_be_not_known() -> None:
    unseen: dict[str, Any] = {
        "rto_read_s": measure(None), "rto_write_s": measure(9.0, possible=[0.3, 9.0]),
        "rpo_events": measure(None, "events"), "recall_at_20": measure(None, "ratio"),
    }  # fmt: skip
    said = story.told(facts(trial(unseen)))
    assert "How long reads were disturbed is not known; writes were disturbed for 0.3 to 9 s." in said
    assert "What was lost is not known. Whether recommendations stayed good is not known." in said


def test_what_a_service_cannot_show_is_not_spoken_of() -> None:
    assert story.told(facts(trial({"rto_read_s": outage(0.0)}))) == (
        "On purpose, the whole primary region was lost; that was undone after 16.0 s. No disturbance of reads was seen."
    )


def test_a_fault_without_effect_is_not_blamed_for_anything() -> None:
    idle = facts(trial(GOOD, events=fault(seen=False)), outcome="UNKNOWN", reasons=["It had no effect."])
    assert wording.sentence(idle) == "This drill shows nothing either way: It had no effect."


def test_a_verdict_left_open_still_says_what_was_seen() -> None:
    open_ = facts(trial(GOOD), outcome="UNKNOWN", reasons=["The log could not be read"])
    assert wording.sentence(open_).startswith("No verdict: The log could not be read. On purpose, the whole primary")


def test_several_trials_are_told_by_the_one_that_is_judged() -> None:
    two = facts(trial(GOOD), trial(GOOD, number=2))
    assert story.hurt(two).startswith("in the worst of 2 trials, no disturbance of reads was seen")


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_fault_has_a_clause_of_its_own(entry: catalogue.Entry) -> None:
    defaults = {a.name: a.default for a in entry.arguments if a.default not in (None, "none")}
    given = event(0, "fault.injected", fault=entry.name, arguments=defaults | entry.example_arguments)
    said = story.broke(trial(events=[given], milestones={"healed": None}))
    assert said.startswith("on purpose, ")
    assert "{" not in said
    assert entry.name == "custom" or f"the fault {entry.name}" not in said.replace("(the fault noop)", "")


def test_a_fault_that_lacks_its_arguments_is_told_by_name() -> None:
    bare = event(0, "fault.injected", fault="region_loss", arguments={})
    assert "the fault region_loss was in force" in story.broke(trial(events=[bare]))
    odd = event(0, "fault.injected", fault="region_loss", arguments={"region": "{0.__class__}<b>"})
    assert "{0.__class__}<b>" in story.broke(trial(events=[odd]))
