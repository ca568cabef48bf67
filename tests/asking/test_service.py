"""How a request is made from its template, and what is read from answers, hostile ones above all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.asking.jsonpaths import JsonPath
from drills.asking.service import MAX_ID_CHARACTERS, RECSVC, Ask, Seen, Service, Unreadable, decoded
from drills.errors import UsageError

SHOP = Service(
    "shop",
    read=Ask("/r", ids="$.items[*].id", scores="$.items[*].score"),
    write=Ask("/w", acknowledged="$.stored"),
    search=Ask("/s", ids="$.found"),
    region_json="$.region",
    region_names={"eu-1": "primary"},
)


def seen(content: object, *, op: str = "recommend", status: int = 200, service: Service = SHOP) -> Seen:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return service.seen(op, status, {}, raw, 3)


def listing(*ids: object) -> dict[str, object]:
    return {"items": [{"id": number, "score": 1.5} for number in ids]}


def test_recsvc_is_asked_as_ever() -> None:
    assert RECSVC.read is not None and RECSVC.write is not None
    assert RECSVC.search is not None and RECSVC.read_back is not None
    read = RECSVC.read.render(user="7", k=20)
    assert (read.method, read.path, json.loads(read.body or b"")) == ("POST", "/v1/recommend", {"user": "7", "k": 20})
    assert read.headers == {"Content-Type": "application/json"}
    write = RECSVC.write.render(id="r-1-P-3", user="7", item="9")
    assert (write.path, json.loads(write.body or b"")) == ("/v1/events", {"id": "r-1-P-3", "user": "7", "item": "9"})
    search = RECSVC.search.render(user="7", query="the end", k=20)
    assert json.loads(search.body or b"") == {"user": "7", "query": "the end", "k": 20}
    page = RECSVC.read_back.render(cursor="12-3")
    assert (page.method, page.path, page.body) == ("GET", "/v1/events?after=12-3&limit=1000", None)
    headers = {"X-Recsvc-Region": "primary", "X-Recsvc-Node": "primary/node-1", "X-Recsvc-Model": "abc"}
    answer = RECSVC.seen("recommend", 200, headers | {"X-Recsvc-Degraded": "1"}, b'{"items": ["a", "b"]}', 20)
    assert answer == Seen(None, ["a", "b"], "primary", "primary/node-1", "abc", True)


def test_values_are_encoded_where_they_stand() -> None:
    ask = Ask("/u/{user}/é?q={query}&n={n}", body={"text": "for {user}: {{user}}", "n": "{n}", "list": ["{user}", 1]})
    asked = ask.render(user='a/b "ü"', query="x&y=1", n=4)
    assert asked.path == "/u/a%2Fb%20%22%C3%BC%22/%C3%A9?q=x%26y%3D1&n=4"
    assert json.loads(asked.body or b"") == {"text": 'for a/b "ü": {user}', "n": 4, "list": ['a/b "ü"', 1]}


def test_numbers_are_sent_where_they_are_asked_for() -> None:
    ask = Ask("/", body={"user": "{user:number}", "name": "{user}", "k": "{k}"})
    assert json.loads(ask.render(user="12", k=20).body or b"") == {"user": 12, "name": "12", "k": 20}


def test_the_first_page_is_asked_for_without_a_cursor() -> None:
    ask = Ask("/e?limit=5&after={cursor}", body={"after": "{cursor}", "limit": 5})
    assert (ask.render().path, json.loads(ask.render().body or b"")) == ("/e?limit=5", {"limit": 5})
    assert ask.render(cursor="a b").path == "/e?limit=5&after=a%20b"
    assert json.loads(ask.render(cursor="a b").body or b"") == {"after": "a b", "limit": 5}
    assert Ask("/e?after={cursor}").render().path == "/e"


def test_headers_take_their_secrets_from_the_environment_only_when_they_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {"Authorization": "Bearer ${env:SHOP_TOKEN}", "Idempotency-Key": "{id}"}
    monkeypatch.setenv("SHOP_TOKEN", "{id}-secret")
    ask = Ask("/", headers=headers)
    assert ask.render(id="e1").headers == {"Authorization": "Bearer {id}-secret", "Idempotency-Key": "e1"}
    assert b"secret" not in msgspec.json.encode(ask)
    monkeypatch.delenv("SHOP_TOKEN")
    with pytest.raises(UsageError, match="SHOP_TOKEN is not set"):
        Ask("/", headers=headers).render(id="e1")
    monkeypatch.setenv("SHOP_TOKEN", "a\r\nX-Evil: 1")
    with pytest.raises(UsageError, match="SHOP_TOKEN holds a line break") as caught:
        Ask("/", headers=headers).render(id="e1")
    assert "Evil" not in str(caught.value)


def test_a_service_survives_the_way_to_another_process() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SHOP), type=Service) == SHOP
    assert msgspec.json.decode(msgspec.json.encode(RECSVC), type=Service) == RECSVC


@pytest.mark.parametrize(
    ("content", "items", "error"),
    [
        (listing("a", "b"), ["a", "b"], None),
        (listing(1, 2), ["1", "2"], None),
        (listing("a", "b", "c", "d"), ["a", "b", "c"], None),
        (listing("a", "a", "b", "c"), ["a", "b"], None),
        (b"\xef\xbb\xbf" + json.dumps(listing("a")).encode(), ["a"], None),
        (listing(), None, "empty"),
        (b"", None, "empty"),
        (b" \n", None, "empty"),
        (b"<html><body>502 Bad Gateway</body></html>", None, "unreadable"),
        (b'{"items": [{"id": "a", "score": NaN}]}', None, "unreadable"),
        (b'{"items": [{"id": "\xff", "score": 1}]}', None, "unreadable"),
        (b'{"items": [{"id": "\\ud800", "score": 1}]}', None, "unreadable"),
        (b'{"items": [{"id": "a", "score": 1}', None, "unreadable"),
        (b"[" * 100_000, None, "unreadable"),
        (b"9" * 5000, None, "unreadable"),
        ({}, None, "unreadable"),
        (None, None, "unreadable"),
        ({"items": None}, None, "unreadable"),
        ({"items": "abc"}, None, "unreadable"),
        ({"items": [None, None]}, None, "unreadable"),
        ({"items": [{"name": "a"}]}, None, "unreadable"),
        ({"error": "no such user"}, None, "unreadable"),
        (listing(None), None, "unreadable"),
        (listing("a", None), None, "unreadable"),
        (listing(True), None, "unreadable"),
        (listing(1.5), None, "unreadable"),
        (listing(""), None, "unreadable"),
        (listing(["a"]), None, "unreadable"),
        (listing({"id": "a"}), None, "unreadable"),
        (listing("a" * (MAX_ID_CHARACTERS + 1)), None, "unreadable"),
        ({"items": [{"id": "a", "score": 1}, {"id": "b"}]}, None, "unreadable"),
        ({"items": [{"id": "a", "score": "1"}]}, None, "unreadable"),
        ({"items": [{"id": "a", "score": None}]}, None, "unreadable"),
    ],
)  # fmt: skip
def test_what_a_read_shows(content: object, items: list[str] | None, error: str | None) -> None:
    answer = seen(content)
    assert (answer.items, answer.error) == (items, error)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (listing("a", 12.0), "service.read.ids $.items[*].id: 12.0 is no id"),
        (listing(None), "service.read.ids $.items[*].id: null is no id"),
        ({"error": "no such user"}, "service.read.ids $.items[*].id: nothing is there"),
        ({"items": [{"id": "a", "score": "1"}]}, 'service.read.scores $.items[*].score: "1" is no score'),
        ({"items": [{"id": "a"}]}, "service.read.scores $.items[*].score: 0 scores for 1 ids"),
        (b"<html>", "no JSON: "),
        (listing("a"), None),
        (listing(), None),
    ],
)  # fmt: skip
def test_what_is_unreadable_says_where_and_why(content: object, why: str | None) -> None:
    found = seen(content).why
    assert found == why or (why is not None and why.endswith(" ") and found is not None and found.startswith(why))


@pytest.mark.parametrize(
    ("ask", "shows"),
    [
        (Ask("/e?after={cursor}", ids="$.ids", next="$.next"), True),
        (Ask("/e/{id}"), False),
        (Ask("/e/{id}", ids="$.id"), False),
        (Ask("/e/{id}", ids="$.found[*].id"), True),
        (Ask("/e", body={"id": "{id}"}, ids="$..id"), True),
    ],
)
def test_only_a_list_shows_what_is_stored_twice(ask: Ask, shows: bool) -> None:
    assert ask.shows_repeats is shows


def test_a_body_that_was_too_long_is_oversize() -> None:
    assert SHOP.seen("recommend", 200, {}, None, 3).error == "oversize"
    assert SHOP.seen("event", 200, {}, None, 3).error == "oversize"
    assert SHOP.seen("recommend", 500, {}, None, 3).error == "http"


def test_ten_megabytes_are_read_if_they_must_be() -> None:
    raw = json.dumps({**listing("a"), "padding": "x" * 10_000_000}).encode()
    assert SHOP.seen("recommend", 200, {}, raw, 3).items == ["a"]


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 400, 404, 500, 503])
def test_only_a_2xx_is_right(status: int) -> None:
    assert seen(listing("a"), status=status) == Seen("http")
    assert seen({"stored": True}, op="event", status=status).error == "http"


@pytest.mark.parametrize(
    ("content", "acknowledged"),
    [
        ({"stored": True}, True),
        ({"stored": 1}, True),
        ({"stored": "yes"}, True),
        ({"stored": "e-1"}, True),
        ({"stored": {}}, True),
        ({"stored": False}, False),
        ({"stored": None}, False),
        ({"stored": 0}, False),
        ({"stored": 0.0}, False),
        ({"stored": ""}, False),
        ({}, False),
        ([], False),
        (b"", False),
        (b"OK", False),
        (b"<html></html>", False),
    ],
)
def test_what_acknowledges_a_write(content: object, acknowledged: bool) -> None:
    assert seen(content, op="event").error == (None if acknowledged else "unacknowledged")


def test_several_acknowledgements_must_all_be_there() -> None:
    several = Service("s", write=Ask("/w", acknowledged="$.copies[*].stored"))
    assert seen({"copies": [{"stored": True}, {"stored": True}]}, op="event", service=several).error is None
    assert seen({"copies": [{"stored": True}, {"stored": False}]}, op="event", service=several).error
    assert seen({"copies": []}, op="event", service=several).error == "unacknowledged"


def test_without_a_path_every_2xx_acknowledges() -> None:
    plain = Service("s", write=Ask("/w"))
    assert seen(b"<html></html>", op="event", status=201, service=plain).error is None


def test_a_search_may_find_nothing() -> None:
    assert seen({"found": []}, op="search").error is None
    assert seen({"found": ["a", "b"]}, op="search").items == ["a", "b"]
    assert seen({"found": None}, op="search").error == "unreadable"


@pytest.mark.parametrize(
    ("content", "region"),
    [
        ({"region": "eu-1"}, "primary"),
        ({"region": "standby"}, "standby"),
        ({"region": 7}, "7"),
        ({"region": "x" * 5000}, "x" * 100),
        ({"region": None}, None),
        ({"region": ""}, None),
        ({"region": ["eu-1"]}, None),
        (b"<html>", None),
    ],
)
def test_which_region_answered(content: object, region: str | None) -> None:
    assert seen(content, op="event").region == region


@pytest.mark.parametrize(
    ("path", "document", "found"),
    [
        ("$.items[*].id", {"items": [{"id": 1}, {"x": 2}, 3, None]}, [1]),
        ("$['items'][*]", {"items": ["a"]}, ["a"]),
        ("$.items", {"items": ["a", "b"]}, ["a", "b"]),
        ("$[*].id", [{"id": "a"}, {"id": "b"}], ["a", "b"]),
        ("$", ["a"], ["a"]),
        ("$..id", {"a": {"id": 1}, "b": [{"id": 2}]}, [1, 2]),
        ("$.items[?@.ok].id", {"items": [{"id": 1, "ok": True}, {"id": 2}]}, [1]),
        ("$.items[0:2]", {"items": ["a", "b", "c"]}, ["a", "b"]),
        ("$.shelves[*].items[*]", {"shelves": [{"items": ["a"]}, {"items": ["b"]}]}, ["a", "b"]),
        ("$.items[*].ids", {"items": [{"ids": ["a"]}]}, [["a"]]),
    ],
)
def test_paths(path: str, document: Any, found: list[Any]) -> None:
    assert JsonPath(path).listed(document) == found


@pytest.mark.parametrize("path", ["", "items", "$.", "$.items[", "$..", "$.a b", "$.items[?nope(@)]", "$[" * 3000])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        JsonPath(path)


@pytest.mark.parametrize(
    ("path", "document", "empty"),
    [
        ("$.items[*].id", {"items": []}, True),
        ("$.items", {"items": []}, True),
        ("$.items[?@.ok]", {"items": []}, True),
        ("$.shelves[*].items[*].id", {"shelves": []}, True),
        ("$.shelves[*].items[*].id", {"shelves": [{"items": []}]}, True),
        ("$.items[*].id", {"items": [{}]}, False),
        ("$.items[*].id", {}, False),
        ("$.items[*].id", [], False),
        ("$..id", {"a": 1}, False),
        ("$.items[?@.ok]", {"items": [{"ok": False}]}, False),
    ],
)
def test_an_empty_list_is_told_from_none(path: str, document: Any, empty: bool) -> None:
    assert JsonPath(path).leads_to_nothing(document) is empty


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["items", "id", "score", "x"]), inner),
    max_leaves=15,
)


@given(JSON)
def test_the_short_way_finds_what_the_library_finds(document: Any) -> None:
    for text in ("$.items[*].id", "$[*]", "$.items[*]", "$.items.id", "$"):
        path = JsonPath(text)
        assert path.values(document) == list(path._compiled.findall(document))


@given(JSON | st.binary(max_size=40))
def test_no_answer_makes_the_reader_stumble(content: Any) -> None:
    for op in ("recommend", "search", "event"):
        answer = seen(content, op=op)
        assert (answer.error is None) or answer.items is None


@given(st.binary(max_size=30))
def test_what_is_no_json_is_unreadable(raw: bytes) -> None:
    try:
        json.loads(raw)
    except ValueError:
        with pytest.raises(Unreadable):
            decoded(raw)


@pytest.mark.parametrize(
    ("document", "cursor"),
    [({"next": "a"}, "a"), ({"next": 7}, "7"), ({"next": None}, None), ({"next": ""}, None), ({}, None), ([], None)],
)
def test_the_next_cursor(document: Any, cursor: str | None) -> None:
    assert Ask("/e?after={cursor}", ids="$.e", next="$.next").next_cursor(document) == cursor


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}, 1.5])
def test_what_is_no_cursor_is_unreadable(value: object) -> None:
    with pytest.raises(Unreadable):
        Ask("/e", next="$.next").next_cursor({"next": value})
