"""Reading back what regions have stored: by pages and by id, from servers that catch up, fail, repeat and lie."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from drills.asking.service import Ask, Door, Service
from drills.load import readback
from drills.load.readback import read_back
from drills.recording.record import Event, EventWriter, ReadBack, Request, RequestWriter, read_events
from drills.targets.base import Deployment
from tests.load.foreign_server import Answer, foreign_server

LISTING = Ask("/events?after={cursor}", method="GET", ids="$.events[*].id", next="$.next")
BY_ID = Ask("/events/{id}", method="GET")
PREFIX = "run-1"


def ids(*numbers: int) -> list[str]:
    return [f"{PREFIX}-P-{number}" for number in numbers]


def pages(stored: Callable[[], list[str]], size: int = 2, region: str | None = None) -> Answer:
    """A log, a page at a time; the cursor is the number of ids already given."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query.get("after") != "", "the first page is asked for without a cursor"
        begin = int(request.query.get("after", 0))
        log = stored()
        following = begin + size if begin + size < len(log) else None
        page = {"events": [{"id": number} for number in log[begin : begin + size]], "next": following}
        return web.json_response(page, headers={"X-Region": region} if region else None)

    return answer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "CATCH_UP_S", 1.5)
    monkeypatch.setattr(readback, "CALM_S", 0.6)
    monkeypatch.setattr(readback, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(readback, "PAUSE_S", 0.1)


def read(folder: Path, ask: Ask | None, parts: list[Path] | None = None, **regions: str) -> Outcome:
    service = Service("shop", read_back=ask, region_header="X-Region")
    doors = {region: Door(url, {"X-Door": region}) for region, url in regions.items()}
    events = EventWriter(folder / "events.jsonl", 1)
    rows = read_back(Deployment("external", "http://nowhere", service, doors), PREFIX, 1, events, parts or [])
    events.close()
    return rows, {event.data["region"]: event for event in read_events(folder / "events.jsonl")}


Outcome = tuple[list[ReadBack], dict[str, Event]]


def counts(rows: list[ReadBack], region: str) -> dict[str, int]:
    return {row.id: row.count for row in rows if row.region == region}


def test_every_page_is_read_and_duplicates_are_counted(tmp_path: Path) -> None:
    log = [*ids(1, 2, 3), "other-9-1", *ids(3, 4)]
    with foreign_server(pages(lambda: log)) as one, foreign_server(pages(lambda: log, size=50)) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    expected = dict.fromkeys(ids(1, 2, 4), 1) | dict.fromkeys(ids(3), 2)
    assert counts(rows, "primary") == counts(rows, "standby") == expected
    assert {region: (event.kind, event.data["found"]) for region, event in told.items()} == {
        "primary": ("readback.done", 4),
        "standby": ("readback.done", 4),
    }


def test_an_event_that_comes_late_is_seen_after_the_first_reading(tmp_path: Path) -> None:
    begin = time.monotonic()

    def catching_up() -> list[str]:
        return ids(1, 2) if time.monotonic() - begin > 0.8 else ids(1)

    with foreign_server(pages(lambda: ids(1, 2))) as one, foreign_server(pages(catching_up)) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert counts(rows, "standby") == dict.fromkeys(ids(1, 2), 1)
    first = told["standby"].data["first_read"]
    seen = {row.id: row.t_seen for row in rows if row.region == "standby"}
    early, late = ids(1, 2)
    assert (seen[early] or 0) <= first < (seen[late] or 0)
    assert all((row.t_seen or 0) <= told["primary"].data["first_read"] for row in rows if row.region == "primary")


def test_what_stays_missing_is_missing(tmp_path: Path) -> None:
    with foreign_server(pages(lambda: ids(1, 2))) as one, foreign_server(pages(lambda: ids(1))) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert (counts(rows, "primary"), counts(rows, "standby")) == (dict.fromkeys(ids(1, 2), 1), dict.fromkeys(ids(1), 1))
    assert {event.kind for event in told.values()} == {"readback.done"}


def test_a_log_that_never_stands_still_is_not_read(tmp_path: Path) -> None:
    grown = [0]

    def growing() -> list[str]:
        grown[0] += 1
        return ids(*range(grown[0]))

    with foreign_server(pages(growing, size=10_000)) as one, foreign_server(pages(lambda: ids(1))) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert told["primary"].kind == "readback.failed"
    assert "still changing" in told["primary"].data["why"]
    assert told["standby"].kind == "readback.done"
    assert {row.region for row in rows} == {"standby"}


def test_a_single_door_is_read_until_it_stands_still(tmp_path: Path) -> None:
    begin = time.monotonic()

    def catching_up() -> list[str]:
        return ids(1, 2) if time.monotonic() - begin > 0.3 else ids(1)

    with foreign_server(pages(catching_up)) as one:
        rows, told = read(tmp_path, LISTING, primary=one)
    assert counts(rows, "primary") == dict.fromkeys(ids(1, 2), 1)
    assert told.keys() == {"primary"}


async def html(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html></html>", content_type="text/html")


async def broken(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def redirects(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/"})


async def hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def circles(request: web.Request) -> web.StreamResponse:
    return web.json_response({"events": [{"id": ids(1)[0]}], "next": "again"})


async def no_list(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "busy"})


async def half_ids(request: web.Request) -> web.StreamResponse:
    return web.json_response({"events": [{"id": ids(1)[0]}, {"id": None}]})


@pytest.mark.parametrize("answer", [html, broken, redirects, hangs, circles, no_list, half_ids])
def test_what_cannot_be_read_is_never_empty(tmp_path: Path, answer: Answer) -> None:
    with foreign_server(pages(lambda: ids(1))) as one, foreign_server(answer) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert told["primary"].kind == "readback.done"
    assert told["standby"].kind == "readback.failed"
    assert told["standby"].data["why"]
    assert {row.region for row in rows} == {"primary"}


def test_the_other_region_answering_is_noticed(tmp_path: Path) -> None:
    log = pages(lambda: ids(1), region="primary")
    with foreign_server(log) as one, foreign_server(log) as other:
        _, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert told["primary"].kind == "readback.done"
    assert "asked standby for its log, primary answered" in told["standby"].data["why"]


@pytest.mark.parametrize("said", ["eu-1", "primary"])
def test_two_doors_to_one_region_show_neither(tmp_path: Path, said: str) -> None:
    log = pages(lambda: ids(1), region=said)
    with foreign_server(log) as one, foreign_server(log) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert told["standby"].kind == "readback.failed"
    if said == "eu-1":
        assert rows == []
        assert "lead to one region: 'eu-1' answered at both" in told["primary"].data["why"]


def test_names_that_are_not_translated_may_differ(tmp_path: Path) -> None:
    one_log, other_log = pages(lambda: ids(1), region="eu-1"), pages(lambda: ids(1), region="us-1")
    with foreign_server(one_log) as one, foreign_server(other_log) as other:
        _, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert {event.kind for event in told.values()} == {"readback.done"}


def test_a_region_without_a_door_may_not_answer_for_another(tmp_path: Path) -> None:
    with foreign_server(pages(lambda: ids(1), region="primary")) as url:
        _, told = read(tmp_path, LISTING, standby=url)
    assert "asked standby for its log, primary answered" in told["standby"].data["why"]


def test_a_region_that_forgets_after_it_was_read_has_lost_it(tmp_path: Path) -> None:
    asked = [0]

    def forgetting() -> list[str]:
        asked[0] += 1
        return ids(1, 2) if asked[0] == 1 else ids(1)

    with foreign_server(pages(forgetting)) as one, foreign_server(pages(lambda: ids(1, 2))) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert counts(rows, "primary") == dict.fromkeys(ids(1), 1)
    assert counts(rows, "standby") == dict.fromkeys(ids(1, 2), 1)
    assert {event.kind for event in told.values()} == {"readback.done"}


def test_what_agreed_at_the_last_moment_is_given_the_time_to_stand_still(tmp_path: Path) -> None:
    begin = time.monotonic()

    def catching_up() -> list[str]:
        return ids(1, 2) if time.monotonic() - begin > readback.CATCH_UP_S - 0.2 else ids(1)

    with foreign_server(pages(lambda: ids(1, 2))) as one, foreign_server(pages(catching_up)) as other:
        rows, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert counts(rows, "standby") == dict.fromkeys(ids(1, 2), 1)
    assert {event.kind for event in told.values()} == {"readback.done"}


def test_what_cannot_be_read_is_shown_as_it_came(tmp_path: Path) -> None:
    with foreign_server(pages(list)) as one, foreign_server(half_ids) as other:
        _, told = read(tmp_path, LISTING, primary=one, standby=other)
    assert told["standby"].data["why"] == "service.read_back.ids $.events[*].id: null is no id"


def test_an_empty_log_is_empty(tmp_path: Path) -> None:
    with foreign_server(pages(list)) as one:
        rows, told = read(tmp_path, LISTING, primary=one, standby=one)
    assert rows == []
    assert [event.data["found"] for event in told.values()] == [0, 0]


def test_a_service_that_cannot_be_read_back_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, None, primary="http://127.0.0.1:1") == ([], {})


def written(folder: Path, numbers: list[str]) -> list[Path]:
    part = folder / "1-prober.part"
    writer = RequestWriter(part)
    for number in numbers:
        about: dict[str, Any] = {"trial": 1, "t_scheduled": 1, "t_sent": 1, "t_done": 2}
        writer.write(Request(stream="probe_write", op="event", id=number, **about))
        writer.write(Request(stream="probe_read", op="recommend", id="u0", **about))
    writer.close()
    return [part]


def lookup(stored: set[str], failing: str = "") -> tuple[Answer, list[str]]:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        number = request.match_info["path"].rpartition("/")[2]
        assert request.headers["X-Door"] in ("primary", "standby")
        asked.append(number)
        if number == failing:
            return web.Response(status=503)
        return web.json_response({"id": number}) if number in stored else web.Response(status=404)

    return answer, asked


def test_events_are_looked_up_one_by_one(tmp_path: Path) -> None:
    everything = ids(*range(50))
    answer, asked = lookup(set(everything) - {everything[7]})
    whole, _ = lookup(set(everything))
    with foreign_server(answer) as one, foreign_server(whole) as other:
        rows, told = read(tmp_path, BY_ID, written(tmp_path, [*everything, "other-1"]), primary=one, standby=other)
    never = set(asked) - set(everything)
    assert all(number.startswith(f"{PREFIX}-N-") for number in never)
    assert never, "one that is none must be asked for, too"
    # on a busy machine a look-up may time out and be tried again, so how often each is asked for says nothing
    assert set(asked) - never == set(everything), "each event of the trial, and nothing else"
    assert set(everything) - set(counts(rows, "primary")) == {everything[7]}
    assert set(counts(rows, "standby")) == set(everything)
    assert told["primary"].data["found"] == 49


@pytest.mark.parametrize("found", [None, "$.id"])
def test_a_door_that_has_everything_is_not_believed(tmp_path: Path, found: str | None) -> None:
    async def echoes(request: web.Request) -> web.StreamResponse:
        return web.json_response({"id": request.match_info["path"].rpartition("/")[2], "found": False})

    ask, (honest, _) = Ask("/events/{id}", method="GET", ids=found), lookup(set(ids(1, 2)))
    with foreign_server(honest) as one, foreign_server(echoes) as other:
        rows, told = read(tmp_path, ask, written(tmp_path, ids(1, 2)), primary=one, standby=other)
    assert "an event that nobody sent" in told["standby"].data["why"]
    assert {row.region for row in rows} == {"primary"}


def test_one_event_that_cannot_be_told_leaves_the_region_unread(tmp_path: Path) -> None:
    answer, _ = lookup(set(ids(1, 2)), failing=ids(2)[0])
    with foreign_server(answer) as one:
        rows, told = read(tmp_path, BY_ID, written(tmp_path, ids(1, 2)), primary=one)
    assert rows == []
    assert "HTTP 503" in told["primary"].data["why"]


def test_with_a_path_the_id_must_be_among_those_that_were_found(tmp_path: Path) -> None:
    one, two, three = ids(1, 2, 3)

    async def answer(request: web.Request) -> web.StreamResponse:
        found = {one: [one, one], two: [], three: ["another"]}
        return web.json_response({"found": found.get(request.match_info["path"].rpartition("/")[2], [])})

    ask = Ask("/events/{id}", method="GET", ids="$.found")
    with foreign_server(answer) as url:
        rows, _ = read(tmp_path, ask, written(tmp_path, [one, two, three]), primary=url)
    assert counts(rows, "primary") == {one: 2}
