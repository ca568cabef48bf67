"""Recall against the baseline's own hits, on literal answers."""

from __future__ import annotations

from math import sqrt

import pytest

from drills.measures import Measure, Settings, baseline_of
from drills.measures.quality import recall
from drills.measures.rto_quality import rto_quality
from drills.recording.record import Request
from drills.recording.timeline import Requests
from tests.measures.literal import INJECTED_S, event, quality, request, timeline, usual_events

HITS = {f"q{user}": int(user % 2 == 0) for user in range(80)}
BASELINE = event("baseline.recorded", -5, measures={"recall_at_20": 0.5}, quality=HITS)
BASELINE.trial = None


def usual(second: float, user: int) -> bool:
    return user % 2 == 0


def measured(requests: list[Request], phase: str = "post_fault", baseline: bool = True) -> Measure:
    events = [*usual_events(), BASELINE] if baseline else usual_events()
    return recall(timeline(requests, events=events), Settings(), phase)


def test_the_same_answers_are_the_baseline() -> None:
    measure = measured(quality(usual))
    assert (measure.value, measure.baseline) == (0.5, 0.5)
    assert (measure.evidence["ratio"], measure.evidence["ratio_standard_error"]) == (1.0, 0.0)
    assert measure.evidence["users"] == 50


def test_the_ratio_is_paired_with_the_same_users() -> None:
    lost = measured(quality(lambda s, user: user % 2 == 0 and (s < INJECTED_S or user >= 10)))
    assert lost.value == pytest.approx(0.4)
    assert lost.evidence["ratio"] == pytest.approx(0.8)
    # 25 users had a hit, 5 lost it in each of 8 questions: residuals of 8 x .2 and 8 x -.8 around the ratio.
    spread = sqrt(50 / 49 * (20 * (8 * 0.2) ** 2 + 5 * (8 * 0.8) ** 2)) / (25 * 8)
    assert lost.evidence["ratio_standard_error"] == pytest.approx(spread)
    assert measured(quality(lambda s, user: user % 2 == 0 and user >= 10), "before").evidence["ratio"] == 0.8


def test_a_phase_that_asked_other_users_is_held_against_those() -> None:
    some = [r for r in quality(usual, users=80) if r.id is not None and int(r.id[1:]) % 2 == 0]
    measure = measured(some)
    assert (measure.value, measure.baseline, measure.evidence["users"]) == (1.0, 1.0, 40)


def test_unanswered_questions_say_nothing_about_quality() -> None:
    measure = measured(quality(lambda s, user: None if 10 <= s < 12 else usual(s, user)))
    assert measure.value == 0.5
    assert (measure.evidence["requests"], measure.evidence["answered"]) == (400, 360)


def test_too_few_users_or_no_baseline() -> None:
    few = measured(quality(usual, users=29))
    assert few.value is None
    assert few.reason == "Only 29 held-out users were answered in the phase 'post_fault', 30 are needed."
    alone = measured(quality(usual), baseline=False)
    assert (alone.value, alone.baseline) == (0.5, None)


def test_missing_questions_open_a_range() -> None:
    measure = measured([r for n, r in enumerate(quality(usual)) if not 300 <= n < 340])
    assert measure.possible is not None
    assert measure.possible[0] < 0.5 < measure.possible[1]


def test_the_baseline_is_made_of_one_pass() -> None:
    asked = [request(n, stream="quality", id=f"q{n}", hits=n % 2, expected=1) for n in range(4)]
    asked.append(request(5, stream="quality", id="q4", status=503, error="http"))
    found = baseline_of(Requests.of(asked), Settings())
    assert found["quality"] == {"q0": 0, "q1": 1, "q2": 0, "q3": 1}
    assert found["measures"] == {
        "recall_at_20": 0.5,
        "availability": 0.8,
        "throughput_rps": pytest.approx(4 / 5.005),
    }


def back(requests: list[Request]) -> Measure:
    return rto_quality(timeline(requests, events=[*usual_events(), BASELINE]), Settings())


def test_quality_is_back_when_every_later_window_is_as_good() -> None:
    assert back(quality(usual)).value == 0
    cold = back(quality(lambda s, user: usual(s, user) and not 10 <= s < 13))
    assert cold.value == pytest.approx(3.0, abs=0.3)
    silent = back(quality(lambda s, user: None if 10 <= s < 12 else usual(s, user)))
    assert silent.value == pytest.approx(2.0, abs=0.2)
    assert back(quality(lambda s, user: usual(s, user) and s < 10)).censored


def test_quality_that_was_not_there_before_the_fault_is_unknown() -> None:
    measure = back(quality(lambda s, user: usual(s, user) and s > 12))
    assert measure.value is None
    assert measure.reason == "Before the fault the quality was not seen to be as good as in the baseline."
    assert rto_quality(timeline(quality(usual)), Settings()).reason == "No baseline of the quality was recorded."
