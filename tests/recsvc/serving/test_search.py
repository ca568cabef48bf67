"""Search over a handful of films with known words and known taste."""

from __future__ import annotations

import numpy as np
import pytest

from recsvc.bundle import Item
from recsvc.search import SearchIndex, words

FILMS = (
    Item("1", "Star Wars", 1977, ("Action", "Sci-Fi")),
    Item("2", "Star Trek", 1979, ("Sci-Fi",)),
    Item("3", "Amélie", 2001, ("Comedy", "Romance")),
    Item("4", "Return of the Jedi", None, ("Sci-Fi",)),
    Item("5", "Return of the Pink Panther", 1975, ("Comedy",)),
)
TASTE = np.zeros((6, 2), dtype=np.float32)
TASTE[1:, 0] = [0, 0, 0, 1, -1]


def found(query: str, user: list[float], k: int = 5) -> list[str]:
    rows, scores = SearchIndex(FILMS, TASTE).rank(query, np.array(user, dtype=np.float32), k)
    assert len(rows) == len(scores)
    assert list(scores) == sorted(scores, reverse=True)
    return [FILMS[row - 1].id for row in rows]


def test_words_decide_before_taste() -> None:
    assert found("star wars", [1, 0])[0] == "1"
    assert set(found("star", [0, 0])) == {"1", "2"}


def test_taste_orders_what_matches_equally() -> None:
    assert found("return", [1, 0]) == ["4", "5"]
    assert found("return", [-1, 0]) == ["5", "4"]


def test_genre_year_and_accents_are_found() -> None:
    assert set(found("comedy", [0, 0])) == {"3", "5"}
    assert found("1977", [0, 0]) == ["1"]
    assert found("amelie", [0, 0]) == ["3"]


@pytest.mark.parametrize("query", ["unheard", "?!", "日本"])
def test_no_match_is_no_answer(query: str) -> None:
    assert found(query, [1, 0]) == []


def test_k_limits_and_ties_keep_the_catalogues_order() -> None:
    assert found("sci fi", [0, 0], k=2) == found("sci fi", [0, 0])[:2]
    assert words("Sci-Fi, 2001!") == ["sci", "fi", "2001"]
