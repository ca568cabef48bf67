"""Search over a handful of items with known words and known taste."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc.bundle import Item
from recsvc.search import PERSONAL_WEIGHT, WHOLE_TITLE, SearchIndex, words
from recsvc.search.index import K1, B
from recsvc.search.taste import Taste
from recsvc.search.vocabulary import Vocabulary

FILMS = (
    Item("1", "Star Wars", 1977, ("Action", "Sci-Fi")),
    Item("2", "Star Trek", 1979, ("Sci-Fi",)),
    Item("3", "Amélie", 2001, ("Comedy", "Romance")),
    Item("4", "Return of the Jedi", None, ("Sci-Fi",)),
    Item("5", "Return of the Pink Panther", 1975, ("Comedy",)),
)
TASTE = np.zeros((6, 2), dtype=np.float32)
TASTE[1:, 0] = [0, 0, 0, 1, -1]
SHOP = (
    Item("1", "千と千尋の神隠し", 2001, ("アニメ",)),
    Item("2", "Москва слезам не верит", 1980, ("Драма",)),
    Item("3", "हिन्दी मीडियम", 2017, ()),
    Item("4", "Smilla's Sense of Snow / Frøken Smilla", 1997, ()),
    Item("5", "Trail running shoe", None, ("Shoes",), brand="Brøndby Ståhl", price=99.0),
    Item("6", "กรุงเทพ ราตรี", None, ()),
    Item("7", "Terminator, The", 1984, ("Action",)),
)


def found(query: str, user: list[float], k: int = 5) -> list[str]:
    best = SearchIndex(FILMS, TASTE).rank(query, np.array(user, dtype=np.float32), k)
    assert len(best.items) == len(best.scores) == min(k, best.matches)
    assert list(best.scores) == sorted(best.scores, reverse=True)
    return [FILMS[row - 1].id for row in best.items]


def in_shop(query: str) -> list[str]:
    best = SearchIndex(SHOP, np.zeros((len(SHOP) + 1, 2), dtype=np.float32)).rank(query, np.zeros(2, np.float32), 9)
    return [SHOP[row - 1].id for row in best.items]


def test_words_decide_before_taste() -> None:
    assert found("star wars", [1, 0])[0] == "1"
    assert set(found("star", [0, 0])) == {"1", "2"}


def test_taste_orders_what_matches_equally() -> None:
    assert found("return", [1, 0]) == ["4", "5"]
    assert found("return", [-1, 0]) == ["5", "4"]


def test_genre_year_and_accents_are_found() -> None:
    assert set(found("comedy", [0, 0])) == {"3", "5"}
    assert found("1977", [0, 0]) == ["1"]
    assert set(found("1970s", [0, 0])) == {"1", "2", "5"}
    assert found("amelie", [0, 0]) == ["3"]


@pytest.mark.parametrize("query", ["unheard", "?!", "日本", " ", "q" * 200, "\x00\ud7ff\u0301"])
def test_no_match_is_no_answer(query: str) -> None:
    assert found(query, [1, 0]) == []


def test_k_limits_and_ties_keep_the_catalogues_order() -> None:
    assert found("sci fi", [0, 0], k=2) == found("sci fi", [0, 0])[:2]
    assert found("1970s", [0, 0], k=2) == ["2", "1"], "the shorter text first"
    assert SearchIndex(FILMS, TASTE).rank("return", np.zeros(2, np.float32), 1).items.tolist() == [4]
    assert words("Sci-Fi, 2001!") == ["sci", "fi", "2001"]


@pytest.mark.parametrize(
    ("query", "item"),
    [
        ("千尋", "1"),
        ("神", "1"),
        ("ｱﾆﾒ", "1"),
        ("москва", "2"),
        ("МОСКВ", "2"),
        ("हिन्दी", "3"),
        ("froken", "4"),
        ("smillas", "4"),
        ("Smilla’s", "4"),
        ("brondby", "5"),
        ("STÅHL", "5"),
        ("shoe", "5"),
        ("trails", "5"),
        ("กรุงเทพ", "6"),
    ],
)
def test_whatever_the_language(query: str, item: str) -> None:
    assert in_shop(query) == [item]


@pytest.mark.parametrize("query", ["terminat", "termnator", "terminatr", "etrminator", "terminatorr", "tarmin"])
def test_what_is_typed_in_haste_is_understood(query: str) -> None:
    assert in_shop(query) == ["7"]


def test_a_word_that_is_complete_is_no_beginning() -> None:
    assert Vocabulary(["star", "stars", "stargate"]).understand("star", typing=False)[-1].how == "form"
    assert Vocabulary(["star", "stargate"]).understand("star", typing=True)[-1].how == "prefix"


def test_what_was_typed_counts_more_than_what_begins_with_it() -> None:
    items = (Item("1", "Warsaw", None, ()), Item("2", "War", None, ()), Item("3", "Wars", None, ()))
    best = SearchIndex(items, np.zeros((4, 2), dtype=np.float32)).rank("war", np.zeros(2, np.float32), 3)
    assert [items[row - 1].title for row in best.items] == ["War", "Wars", "Warsaw"]


def test_matches_of_a_beginning_are_as_rare_as_they_are_together() -> None:
    items = tuple(Item(str(n), f"Film {n}", None, ("Comedy",)) for n in range(9))
    items = (*items, Item("9", "Film 9", None, ("Comedown",)))
    _, text = SearchIndex(items, np.zeros((11, 2), dtype=np.float32)).matching("comed")
    assert text == pytest.approx(np.ones(10))


def test_a_whole_title_stays_first_whatever_the_taste() -> None:
    items = (Item("1", "First Contact", None, ()), Item("2", "Contact", None, ()))
    table = np.array([[0], [9], [-9]], dtype=np.float32)
    best = SearchIndex(items, table).rank("contact", np.ones(1, dtype=np.float32), 2)
    assert best.items.tolist() == [2, 1]
    assert best.text[0] == 1 + WHOLE_TITLE


def test_relevance_of_whole_words_is_what_bm25s_says() -> None:
    titles = ["red fox", "red red hen", "the quick brown fox jumps", "hen", "a fox and a hen and a fox"]
    index = SearchIndex([Item(str(n), t, None, ()) for n, t in enumerate(titles)], np.zeros((6, 2), dtype=np.float32))
    reference = bm25s.BM25(method="lucene", k1=K1, b=B)
    reference.index([words(title) for title in titles], show_progress=False)
    assert index.relevance("fox red ") == pytest.approx(reference.get_scores(["fox", "red"]), abs=1e-6)


def test_a_rare_words_matches_are_those_of_a_search_through_all_items() -> None:
    draw = np.random.default_rng(5)
    vocabulary = [f"word{number}" for number in range(300)]
    items = [Item(str(n), " ".join(draw.choice(vocabulary, 3)), None, ()) for n in range(3_000)]
    index = SearchIndex(items, np.zeros((3_001, 2), dtype=np.float32))
    for query in ("word7", "word7 word70 ", "word12 word1", "wrod7", "none of these ", "word299 word299"):
        rows, text = index.matching(query)
        relevance = index.relevance(query)
        assert rows.tolist() == (np.flatnonzero(relevance) + 1).tolist()
        assert text.tolist() == (relevance[rows - 1].astype(np.float64) / max(relevance.max(), 1e-9)).tolist()


def test_a_query_is_quick_where_it_is_spelt_as_the_catalogue_is_and_few_items_match() -> None:
    items = [Item(str(n), "common" if n else "rare", None, ()) for n in range(2_500)]
    index = SearchIndex(items, np.zeros((2_501, 2), dtype=np.float32))
    assert index.quick("rare")
    assert not index.quick("rare common")
    assert not index.quick("rrae")


def test_each_words_part_sums_to_the_text() -> None:
    index = SearchIndex(FILMS, TASTE)
    best = index.rank("return of the star ", np.ones(2, dtype=np.float32), 5)
    each = index.word_by_word("return of the star ", best.items)
    assert set(each) == {"return", "of", "the", "star"}
    assert sum(each.values()) == pytest.approx(best.text)


@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_taste_is_the_score_standardised_over_the_catalogue(items: int, d: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(items + 1, d)).astype(np.float32)
    user = generator.normal(size=d).astype(np.float32)
    scores = (table[1:] @ user).astype(np.float64)
    wanted = (scores - scores.mean()) / scores.std()
    assert Taste(table).of(user, np.arange(1, items + 1)) == pytest.approx(wanted, rel=1e-2, abs=1e-3)


@given(st.text(max_size=60), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_any_text_is_searched_for_and_fused_scores_are_their_parts(query: str, k: int) -> None:
    index, user = SearchIndex(FILMS, TASTE), np.ones(2, dtype=np.float32)
    best = index.rank(query, user, k)
    assert len(best.items) == min(k, best.matches)
    assert best.scores == pytest.approx(best.text + PERSONAL_WEIGHT * index.taste.of(user, best.items))


@given(st.text())
def test_words_of_words_are_themselves(text: str) -> None:
    for word in words(text):
        assert words(word) == [word]


def test_taste_of_a_few_is_that_of_all() -> None:
    table = np.random.default_rng(1).normal(size=(9001, 8)).astype(np.float32)
    user, few = np.ones(8, dtype=np.float32), np.arange(2, 5002)
    everyone = Taste(table).of(user, np.arange(1, 9001))
    assert Taste(table).of(user, few) == pytest.approx(everyone[few - 1], abs=1e-4)


def test_a_catalogue_without_words_finds_nothing() -> None:
    index = SearchIndex([Item("1", "", None, ()), Item("2", "!", None, ())], np.zeros((3, 2), dtype=np.float32))
    assert index.rank("anything", np.ones(2, dtype=np.float32), 5).matches == 0


def test_another_models_vectors_leave_the_texts() -> None:
    index = SearchIndex(FILMS, TASTE)
    other = index.with_embeddings(-TASTE)
    user = np.array([1, 0], dtype=np.float32)
    assert index.rank("return", user, 1).items.tolist() == [4]
    assert other.rank("return", user, 1).items.tolist() == [5]
