"""One list for everybody is no recommendation: the trial is in doubt."""

from __future__ import annotations

import pytest

from drills.measures import Settings, problems
from drills.recording.record import Request
from drills.spec import Objective
from drills.verdict import Outcome, judge
from tests.measures.literal import quality, reads, request, timeline, writes

SAME = [f"i{n}" for n in range(20)]


def asked(frozen_s: tuple[float, float], users: int = 50, region: str = "primary") -> list[Request]:
    """Everybody has a list of their own, but for a while (s) ``region`` answers all with the same."""
    rows = quality(lambda s, user: True, users=users)
    for n, row in enumerate(rows):
        frozen = frozen_s[0] <= row.t_scheduled / 1e9 - 1000 < frozen_s[1]
        row.items = SAME if frozen else [f"{row.id}-{rank}" for rank in range(20)]
        row.region = region if frozen else "primary"
        if frozen and region != "primary" and n % 2:
            row.items, row.region = [f"{row.id}"], "primary"
    return rows


def doubts(rows: list[Request], **given: bool) -> tuple[str, ...]:
    return problems.of_trial(timeline(rows), Settings(**given)).doubts


@pytest.mark.parametrize(
    ("span", "phase", "users"),
    [((0, 8), None, 0), ((9.9, 20), "during", 50), ((10.5, 20), "during", 50), ((20, 31), "after", 50)],
)
def test_one_list_for_everybody_in_a_phase(span: tuple[float, float], phase: str | None, users: int) -> None:
    expected = f"In the phase '{phase}' {users} different users were all given one and the same list."
    assert doubts(asked(span)) == ((expected,) if phase else ())


def test_answers_that_say_themselves_that_they_are_degraded_do_not_pretend() -> None:
    rows = asked((9.9, 20))
    for row in rows:
        row.degraded = row.items == SAME
    assert doubts(rows) == ()


def test_the_same_items_in_another_order_are_no_other_list() -> None:
    rows = asked((9.9, 20))
    for n, row in enumerate(rows):
        if row.items == SAME:
            row.items = [*SAME[n % 3 :], *SAME[: n % 3]]
    (said,) = doubts(rows)
    assert said == "In the phase 'during' 50 different users were all given the same items, in 3 different orders."


def test_a_region_that_is_frozen_shows_though_the_other_is_not() -> None:
    (said,) = doubts(asked((9.9, 20), region="standby"))
    assert said == "In the phase 'during' 25 different users were all given one and the same list by standby."


def test_where_all_may_get_the_same_or_too_few_were_asked_there_is_no_doubt() -> None:
    assert doubts(asked((9.9, 20)), personal=False) == ()
    assert doubts(asked((9.9, 20), users=9)) == ()


def test_the_lists_of_probes_count_too() -> None:
    rows = [request(r.t_scheduled / 1e9 - 1000, id=f"u{n % 10}", items=SAME) for n, r in enumerate(reads())]
    assert len(doubts(rows)) == 3


def test_a_frozen_service_does_not_pass() -> None:
    seen = timeline([*reads(), *writes(), *asked((9.9, 31))])
    verdict = judge(seen, [Objective("rto_read_s", max=1)], run="r", drill="d")
    assert verdict.outcome is Outcome.UNKNOWN
    assert "one and the same list" in verdict.reasons[0]
