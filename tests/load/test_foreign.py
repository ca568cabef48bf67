"""The real prober and real Locust users against services that are not recsvc, some of them malicious."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from drills.asking.service import KEEP_ALIVE_S, Ask, Service
from drills.load.audience import Audience
from drills.load.clients import Clients
from drills.load.sender import Sender
from drills.recording import rundir
from drills.recording.record import Request, read_events, read_part
from drills.spec import Drill, Load, ProbeRates
from drills.spec.model import Mix
from drills.targets.base import Deployment
from tests.load.foreign_server import Answer, foreign_server
from tests.load.test_prober import probing, recorded

SHOP = Service(
    "shop",
    read=Ask("/for/{user}?n={k}", method="GET", ids="$.items[*].id"),
    write=Ask("/events", body={"id": "{id}", "who": "{user}", "what": "{item}"}, acknowledged="$.stored"),
    region_header="X-Region",
)
BOMB = gzip.compress(b" " * 2**25)


def listing(*ids: object) -> web.Response:
    return web.json_response({"items": [{"id": number} for number in ids]}, headers={"X-Region": "primary"})


async def honest(request: web.Request) -> web.StreamResponse:
    if request.path == "/events":
        return web.json_response({"stored": True}, headers={"X-Region": "primary"})
    return listing(*range(30))


async def elsewhere(request: web.Request) -> web.StreamResponse:
    if request.path == "/elsewhere":
        return listing(1, 2)
    return web.Response(status=302, headers={"Location": "/elsewhere"})


async def drips(request: web.Request) -> web.StreamResponse:
    body = json.dumps({"items": [{"id": n} for n in range(100)]}).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await asyncio.sleep(0.05)
    return response


async def floods(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 2**20)


async def inflates(request: web.Request) -> web.StreamResponse:
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})


async def hangs_up(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"{")
    assert request.transport is not None
    request.transport.close()
    return response


def half_deaf(asked: Counter[str]) -> Answer:
    """Does what it is asked and, every second time, closes the connection instead of saying so."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked[f"{request.method} {request.path_qs}"] += 1
        if asked.total() % 2:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"stored": True}) if request.method == "PUT" else listing(1, 2)

    return answer


REPEATABLE = Service(
    "shop",
    read=Ask("/for/{user}?n={n}", method="GET", ids="$.items[*].id"),
    write=Ask("/events/{id}", method="PUT", acknowledged="$.stored"),
)


async def forgets(request: web.Request) -> web.StreamResponse:
    return web.json_response({"stored": False}) if request.path == "/events" else listing()


async def html(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>all is well</html>", content_type="text/html")


HOSTILE: list[tuple[Answer, tuple[int, str], tuple[int, str] | None]] = [
    (elsewhere, (302, "http"), None),
    (drips, (0, "timeout"), None),
    (floods, (200, "oversize"), None),
    (inflates, (200, "oversize"), None),
    (hangs_up, (0, "reset"), None),
    (forgets, (200, "empty"), (200, "unacknowledged")),
    (html, (200, "unreadable"), (200, "unacknowledged")),
]


def probed(folder: Path, url: str, service: Service = SHOP, **changed: Any) -> list[Request]:
    settings = {
        "service": msgspec.to_builtins(service),
        "rates": {"probe_read": 10, "probe_write": 10, "quality": 5},
        "timeout_s": 1.0,
        "duration_s": 0.45,
        "headers": {},
        "quality": [{"id": "q0", "user": "3", "expected": ["1", "99"]}, {"id": "q1", "user": "4", "expected": []}],
    }
    with probing(folder, url, **(settings | changed)) as process:
        assert process.wait(timeout=20) == 0
    return recorded(folder)


def test_what_an_honest_service_answers_is_recorded(tmp_path: Path) -> None:
    with foreign_server(honest) as url:
        rows = probed(tmp_path, url, probe_users=["7", "ü/8"])
    assert {(r.stream, r.ok, r.error, r.region) for r in rows} == {
        (stream, True, None, "primary") for stream in ("probe_read", "probe_write", "quality")
    }
    reads = [r for r in rows if r.stream == "probe_read"]
    assert [r.id for r in sorted(reads, key=lambda r: r.t_scheduled)] == ["u0", "u1", "u0", "u1", "u0"]
    assert all(r.items == [str(n) for n in range(20)] for r in rows if r.op == "recommend")
    quality = {r.id: (r.hits, r.expected) for r in rows if r.stream == "quality"}
    assert quality == {"q0": (1, 2), "q1": (None, None)}
    assert all(r.items is None for r in rows if r.op == "event")


@pytest.mark.parametrize(("answer", "read", "write"), HOSTILE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_hostile_answer_is_never_taken_for_a_good_one(
    tmp_path: Path, answer: Answer, read: tuple[int, str], write: tuple[int, str] | None
) -> None:
    with foreign_server(answer) as url:
        rows = probed(tmp_path, url)
    assert {(r.status, r.error) for r in rows if r.op == "recommend"} == {read}
    assert {(r.status, r.error) for r in rows if r.op == "event"} == {write or read}
    assert not any(r.ok or r.items or r.hits for r in rows)
    if read[1] == "timeout":
        assert all(0.95e9 < r.t_done - r.t_sent < 1.5e9 for r in rows)


def test_what_may_be_repeated_is_sent_once_all_the_same(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    with foreign_server(half_deaf(asked)) as url:
        rows = [row for row in probed(tmp_path, url, REPEATABLE) if row.stream != "quality"]
    writes = [f"PUT /events/{row.id}" for row in rows if row.op == "event"]
    assert writes
    assert {asked[write] for write in writes} == {1}
    assert asked.total() == len(recorded(tmp_path))
    assert {row.error for row in rows} == {None, "reset"}


def test_a_service_that_takes_no_events_has_no_write_probes(tmp_path: Path) -> None:
    with foreign_server(honest) as url:
        rows = probed(tmp_path, url, Service("reader", read=SHOP.read))
    assert {r.stream for r in rows} == {"probe_read", "quality"}
    [started, _] = read_events(tmp_path / "events.jsonl")
    assert started.data["rates"] == {"probe_read": 10, "quality": 5}


def test_a_header_from_the_environment_reaches_the_service_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    async def listens(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Authorization"))
        return listing(1)

    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    read = Ask("/r", method="GET", ids="$.items[*].id", headers={"Authorization": "Bearer ${env:SHOP_TOKEN}"})
    with foreign_server(listens) as url:
        probed(tmp_path, url, Service("shop", read=read))
    assert set(asked) == {"Bearer s3cret"}
    assert all(b"s3cret" not in path.read_bytes() for path in tmp_path.iterdir())


def clients(folder: Path, url: str, service: Service, load: Load, **settings: Any) -> Clients:
    run = rundir.create(folder, "drill")
    probes = ProbeRates(reads_per_s=5, writes_per_s=5, quality_per_s=5, timeout_s=settings.pop("timeout_s", 2.0))
    drill = Drill(path=folder, title="t", description="d", load=load, probes=probes)
    audience = Audience([{"id": "q0", "user": "9", "expected": []}], ["1", "2", "3"], ["i1", "i2"], ["shoes"])
    return Clients(run, drill, Deployment("external", url, service), audience, 1, 5)


def let_run(tested: Clients, seconds: float) -> list[Request]:
    """All that the load's processes recorded."""
    tested.start()
    try:
        deadline = time.monotonic() + 30
        while not tested.ready():
            tested.check()
            assert time.monotonic() < deadline, "the clients sent nothing"
            time.sleep(0.05)
        time.sleep(seconds)
        tested.check()
    finally:
        tested.stop()
    return [row for part in tested.parts()[1:] for row in read_part(part)]


def test_the_load_comes_from_several_processes_that_share_it(tmp_path: Path) -> None:
    with foreign_server(honest) as url:
        tested = clients(tmp_path, url, SHOP, Load(rate=60, users=7, workers=3, mix=Mix(0.5, 0.2, 0.3)))
        rows = let_run(tested, 3.0)
    assert len(tested.parts()) == 4
    assert all(list(read_part(part)) for part in tested.parts())
    ops = Counter(row.op for row in rows)
    assert set(ops) == {"recommend", "event"}, "what the service cannot search it is asked to recommend"
    assert 0.15 < ops["event"] / len(rows) < 0.45
    assert {(row.error, row.region, row.stream) for row in rows} == {(None, "primary", "load")}
    ids = [row.id for row in rows if row.op == "event"]
    assert len(set(ids)) == len(ids)
    assert {str(number).split("-")[-2] for number in ids} == {"L0", "L1", "L2"}
    last = max(row.t_sent for row in rows)
    steady = [row for row in rows if last - 2e9 < row.t_sent < last]
    assert len(steady) / 2 == pytest.approx(60, rel=0.35)


@pytest.mark.parametrize(("answer", "read", "write"), HOSTILE, ids=lambda value: getattr(value, "__name__", ""))
def test_the_users_are_not_fooled_either(
    tmp_path: Path, answer: Answer, read: tuple[int, str], write: tuple[int, str] | None
) -> None:
    with foreign_server(answer) as url:
        tested = clients(tmp_path, url, SHOP, Load(rate=20, users=4, mix=Mix(0.5, 0, 0.5)), timeout_s=0.5)
        rows = let_run(tested, 1.0)
    assert {(r.status, r.error) for r in rows if r.op == "recommend"} == {read}
    assert {(r.status, r.error) for r in rows if r.op == "event"} == {write or read}
    if read[1] == "timeout":
        assert all(0.45e9 < r.t_done - r.t_sent < 1.2e9 for r in rows)


def test_the_users_send_each_request_once(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    with foreign_server(half_deaf(asked)) as url:
        tested = clients(tmp_path, url, REPEATABLE, Load(rate=30, users=3, mix=Mix(0.5, 0, 0.5)))
        rows = let_run(tested, 1.0)
    writes = [f"PUT /events/{row.id}" for row in rows if row.op == "event"]
    assert writes
    assert {asked[write] for write in writes} == {1}
    assert {row.error for row in rows} == {None, "reset"}


def test_a_connection_that_was_idle_is_not_used_again(tmp_path: Path) -> None:
    """Most servers close it after some seconds, and then the next request of that user would fail."""
    used: list[object] = []

    async def notes(request: web.Request) -> web.StreamResponse:
        used.append(request.transport)
        return listing(1)

    with foreign_server(notes) as url:
        sender = Sender(url, 2.0)
        for pause_s in (0.0, 0.0, KEEP_ALIVE_S + 0.1):
            time.sleep(pause_s)
            assert sender.send(SHOP.read.render(user="1", k=1)).status == 200  # type: ignore[union-attr]
        sender.close()
    first, second, third = used
    assert first is second
    assert second is not third


def test_a_service_that_only_reads_is_only_read(tmp_path: Path) -> None:
    with foreign_server(honest) as url:
        tested = clients(tmp_path, url, Service("reader", read=SHOP.read), Load(rate=20, users=2))
        assert tested.rates == {"probe_read": 5, "probe_write": 0, "quality": 5}
        assert {row.op for row in let_run(tested, 0.5)} == {"recommend"}
