"""What cleaning does to interactions whose right order is known, and that it tells of all of it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsvc.bundle import Item
from recsvc.data import DataError, Rules
from recsvc.data.cleaning import CLOCKS_DIFFER_S, Cleaned, clean
from recsvc.data.tabular import from_lines

NOW_S = 1_700_000_000
Row = tuple[str, str, int]


def cleaned(rows: list[Row], catalogue: tuple[Item, ...] = (), rules: Rules = Rules()) -> Cleaned:  # noqa: B008 - frozen
    text = "".join(f"{user}\t{item}\t1\t{time_s}\n" for user, item, time_s in rows)
    return clean(from_lines(text.encode()), catalogue, rules, now_s=NOW_S)


def sequences(found: Cleaned) -> dict[str, list[tuple[str, int]]]:
    parts = zip(found.users, found.offsets[:-1].tolist(), found.offsets[1:].tolist(), strict=True)
    return {
        user: [
            (found.items[index - 1].id, time_s)
            for index, time_s in zip(found.item[begin:end].tolist(), found.time_s[begin:end].tolist(), strict=True)
        ]
        for user, begin, end in parts
    }


def plainly(rows: list[Row]) -> dict[str, list[tuple[str, int]]]:
    """The same in the plainest of ways: sort stably, keep the first of each pair."""
    by_user: dict[str, list[Row]] = {}
    for row in rows:
        if 0 <= row[2] <= NOW_S + CLOCKS_DIFFER_S:
            by_user.setdefault(row[0], []).append(row)
    found = {}
    for user, events in by_user.items():
        first: dict[str, int] = {}
        for _, item, time_s in sorted(events, key=lambda row: row[2]):
            first.setdefault(item, time_s)
        found[user] = list(first.items())
    return found


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("wxyz"), st.integers(-2, 6)), min_size=1, max_size=40)
)
def test_it_does_what_the_plainest_way_does(rows: list[Row]) -> None:
    expected = plainly(rows)
    if not expected:
        with pytest.raises(DataError, match="can be used"):
            cleaned(rows)
        return
    found = cleaned(rows)
    assert sequences(found) == expected
    assert list(found.users) == list(expected)
    report = found.report
    dropped = report.duplicates_dropped + report.future_dropped + report.before_1970_dropped
    assert report.interactions_read == len(rows) == report.interactions + dropped
    assert report.interactions == sum(map(len, expected.values()))


def test_every_count_is_told() -> None:
    rows = [("a", "x", 30), ("a", "y", 10), ("a", "x", 40), ("a", "z", 10), ("b", "x", NOW_S * 2), ("b", "y", -1)]
    report = cleaned([*rows, ("b", "y", 5)], (Item("y", "Y", None, ()), Item("q", "Q", None, ()))).report
    told = {name: value for name, value in asdict(report).items() if value}
    assert told == {
        "interactions_read": 7,
        "interactions": 4,
        "duplicates_dropped": 1,
        "future_dropped": 1,
        "before_1970_dropped": 1,
        "out_of_order": 2,
        "ties": 1,
        "users": 2,
        "users_not_evaluated": 2,
        "items": 4,
        "items_without_description": 2,
        "items_without_interactions": 1,
        "timed": True,
        "first_s": 5,
        "last_s": 40,
    }


def test_rare_users_and_items_go_until_none_is_left() -> None:
    # Without c, y has one interaction; without y, b has one: only a and x would be left, and they are rare, too.
    chain = [("a", "x", 1), ("b", "x", 2), ("b", "y", 3), ("c", "y", 4)]
    square = [("k", "p", 1), ("k", "q", 2), ("l", "p", 3), ("l", "q", 4)]
    catalogue = (Item("p", "P", None, ()), Item("new", "New", None, ()))
    found = cleaned([*chain, *square], catalogue, Rules(2, 2))
    assert sequences(found) == {"k": [("p", 1), ("q", 2)], "l": [("p", 3), ("q", 4)]}
    report = found.report
    assert (report.rare_interactions_dropped, report.rare_users_dropped, report.rare_items_dropped) == (4, 3, 2)
    assert [item.id for item in found.items] == ["p", "q"], "with a bound on items, one without interactions is rare"
    users_only = cleaned([*square, ("m", "p", 9)], catalogue, Rules(min_user_interactions=2))
    assert (users_only.report.rare_users_dropped, len(users_only.items)) == (1, 3)
    with pytest.raises(DataError, match="Lower --min-user-interactions"):
        cleaned(chain, rules=Rules(2, 2))


def test_a_file_from_the_future_is_asked_about() -> None:
    with pytest.raises(DataError, match="2 lie in the future"):
        cleaned([("a", "x", NOW_S * 3), ("a", "y", NOW_S * 3)])


def test_keys_too_large_for_one_word_are_sorted_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    rows = [(f"u{rng.integers(9)}", f"i{rng.integers(9)}", int(rng.integers(50))) for _ in range(400)]
    usual = sequences(cleaned(rows))
    monkeypatch.setattr("recsvc.data.cleaning._KEY_BITS", 0)
    assert sequences(cleaned(rows)) == usual == plainly(rows)
