"""Rank-biased overlap by its definition, and the overlap of answers with the baseline's own lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.measures import Measure, Settings, baseline_of
from drills.measures.overlap import overlap, rank_biased_overlap
from drills.recording.record import Event, Request
from drills.recording.timeline import Requests
from tests.measures.literal import event, quality, request, timeline, usual_events

USUAL = [f"i{n}" for n in range(20)]
OTHER = [f"x{n}" for n in range(20)]


def baseline(**more: object) -> Event:
    told = event("baseline.recorded", -5, measures={}, quality={}, lists={f"q{n}": USUAL for n in range(50)}, **more)
    told.trial = None
    return told


def asked(*, since: float = 10, instead: list[str] = USUAL, users: int = 50, region: str = "primary") -> list[Request]:
    rows = quality(lambda s, user: True, users=users)
    for row in rows:
        later = row.t_scheduled / 1e9 - 1000 >= since
        row.items, row.region = (instead, region) if later else (USUAL, "primary")
    return rows


def measured(rows: list[Request], phase: str = "post_fault", told: Event | None = None) -> Measure:
    return overlap(timeline(rows, events=[*usual_events(), told or baseline()]), Settings(), phase)


def test_known_values() -> None:
    """By hand from equation 32 of Webber et al. 2010, with p = 0.9."""
    assert rank_biased_overlap("abc", "abc", 0.9) == pytest.approx(1)
    assert rank_biased_overlap("abc", "xyz", 0.9) == 0
    # X = 0, 2: (1-p)/p * (0/1 p + 2/2 p^2) + 2/2 p^2
    assert rank_biased_overlap("ab", "ba", 0.9) == pytest.approx(0.1 / 0.9 * 0.81 + 0.81)
    # S = a, L = ab: X = 1, 1; sum = 1 p + 1/2 p^2 + 1 (2-1)/(1*2) p^2; last = (1-1)/2 + 1/1
    assert rank_biased_overlap("a", "ab", 0.9) == pytest.approx(0.1 / 0.9 * (0.9 + 0.405 + 0.405) + 0.81)
    assert rank_biased_overlap("", "ab", 0.9) == 0
    assert rank_biased_overlap("", "", 0.9) == 0


Ids = st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True)


@given(Ids, Ids)
def test_it_is_a_share_and_has_no_direction(one: list[str], other: list[str]) -> None:
    value = rank_biased_overlap(one, other, 0.9)
    assert -1e-12 <= value <= 1 + 1e-12
    assert value == pytest.approx(rank_biased_overlap(other, one, 0.9))
    assert rank_biased_overlap(one, one, 0.9) == pytest.approx(1 if one else 0)


def test_the_first_ranks_weigh_most() -> None:
    top = rank_biased_overlap([*OTHER[:5], *USUAL[5:]], USUAL, 0.9)
    bottom = rank_biased_overlap([*USUAL[:15], *OTHER[:5]], USUAL, 0.9)
    assert top < 0.6 < bottom


def test_the_same_lists_overlap_wholly() -> None:
    measure = measured(asked())
    assert measure.value == pytest.approx(1)
    assert measure.evidence["by_region"] == {"primary": pytest.approx(1)}
    assert measure.evidence["users"] == 50


@pytest.mark.parametrize("instead", [USUAL[:3], USUAL[:1] * 20])
def test_a_list_that_breaks_off_is_not_the_whole_list(instead: list[str]) -> None:
    value = measured(asked(since=15, instead=instead), "post_fault").value
    assert value is not None
    assert value < 0.9
    assert measured(asked(since=15, instead=USUAL[:19])).value == pytest.approx(0.99, abs=0.01)


def test_another_data_set_in_the_standby_shows() -> None:
    rows = asked(since=15, instead=OTHER, region="standby")
    assert measured(rows, "before").value == pytest.approx(1)
    measure = measured(rows)
    assert measure.value == pytest.approx(0.25, abs=0.01)
    assert measure.evidence["by_region"] == {"primary": pytest.approx(1), "standby": 0}


def test_an_older_model_shows_by_its_version() -> None:
    rows = asked(since=15, instead=OTHER)
    for row in rows:
        row.model_version = "new" if row.items == USUAL else "old"
    assert measured(rows).evidence["by_model"] == {"new": pytest.approx(1), "old": 0}


def test_the_regions_are_compared_where_both_were_asked() -> None:
    told = baseline(regions={"primary": {"q0": USUAL, "q1": USUAL}, "standby": {"q1": OTHER, "q2": USUAL}})
    assert measured(asked(), told=told).evidence["in_the_baseline"] == {
        "edge~primary": pytest.approx(1),
        "edge~standby": pytest.approx(0.5),
        "primary~standby": 0,
    }


def test_what_cannot_be_compared_is_unknown() -> None:
    bare = event("baseline.recorded", -5, measures={}, quality={})
    assert measured(asked(), told=bare).reason == "The baseline holds no lists to compare with."
    few = measured(asked(users=9))
    assert few.value is None
    assert few.reason == "Only 9 users' lists can be compared in the phase 'post_fault', 10 are needed."
    assert measured(quality(lambda s, user: True)).value is None


def test_missing_questions_open_a_range() -> None:
    measure = measured([r for n, r in enumerate(asked()) if not 300 <= n < 340])
    assert measure.possible == (pytest.approx(0.9), pytest.approx(1))


def test_the_baseline_keeps_each_user_s_first_list() -> None:
    rows = [
        request(2, stream="quality", id="q0", items=OTHER, hits=0, expected=0),
        request(1, stream="quality", id="q0", items=[*USUAL, "more"], hits=0, expected=0),
        request(3, stream="quality", id="q1", items=[], error="empty"),
    ]
    found = baseline_of(Requests.of(rows), Settings())
    assert found["lists"] == {"q0": USUAL}
    assert found["quality"] == {}
    assert "recall_at_20" not in found["measures"]  # type: ignore[operator]  # a dict of measures
