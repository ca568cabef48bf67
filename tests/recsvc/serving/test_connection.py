"""What clients can do to a node by bytes and by time, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsvc.application import Answer, Application, Request
from recsvc.connection import MAX_HEADERS, MAX_PIPELINED, Limits
from recsvc.listening import Server
from tests.recsvc.serving.cluster import Cluster, Node, eventually
from tests.recsvc.serving.raw import post, read, send

GET = b"GET /livez HTTP/1.1\r\nHost: node\r\n"
ASK = b'{"user": "u1"}'


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Node]:
    """A node that keeps at most eight connections and waits half a second for a request."""
    cluster = Cluster(tmp_path_factory.mktemp("strict"), bundle)
    try:
        more = ("--max-connections", "8", "--request-timeout-s", "0.5")
        yield cluster.node("primary/node-1", cluster.store("store"), *more, replication="async")
    finally:
        cluster.close()


@pytest.fixture(autouse=True)
def _still_serves(strict: Node) -> Iterator[None]:
    yield
    eventually(lambda: strict.http.post("/v1/recommend", json={"user": "u1"}).status_code == 200)


SMUGGLED = {
    "length beside chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "a length that is a list": b"Content-Length: 5, 5\r\n\r\nhello",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length with a plus": b"Content-Length: +5\r\n\r\nhello",
    "a length beyond 64 bits": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 5\r\n\r\nhello",
    "a folded header": b"X: a\r\n b\r\n\r\n",
    "a bare line feed between headers": b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a null byte in a value": b"X: a\0b\r\n\r\n",
    "a carriage return in a value": b"X: a\rb\r\n\r\n",
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size in 0x": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_requests_are_smuggled_with_ends_the_connection(strict: Node, rest: bytes) -> None:
    """Behind each stands a second request that must never be answered: it may be read in two ways."""
    answer = send(strict.port, b"POST /v1/recommend HTTP/1.1\r\nHost: node\r\n" + rest + GET + b"\r\n")
    assert answer.closed
    assert len(answer.statuses) == 1
    assert answer.statuses[0] in (400, 413)
    assert answer.problem["status"] == answer.statuses[0]


@pytest.mark.parametrize(
    "line",
    [
        *(b"hello", b"GET /livez", b"GET /livez HTTP/9.9", b"GET  HTTP/1.1", b"\x16\x03\x01\x02\x00"),
        *(b"GET /\xff HTTP/1.1", b"CONNECT admin:80 HTTP/1.1", b"GET http://admin HTTP/1.1"),
    ],
)
def test_what_is_no_request_is_told_so(strict: Node, line: bytes) -> None:
    answer = send(strict.port, line + b"\r\nHost: node\r\n\r\n")
    assert answer.closed
    assert answer.statuses in ([400], [404]), "and 200 for none of them"
    assert str(answer.problem["type"]).startswith("urn:recsvc:problem:no")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /livez?" + b"x" * 5000 + b" HTTP/1.1\r\nHost: node\r\n\r\n",
        GET + b"X: " + b"x" * 17_000 + b"\r\n\r\n",
        GET + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        GET + b"X: " + b"x" * 300_000,
        GET + b"X: y\r\n" * 40_000,
    ],
    ids=["a long target", "a long header", "many headers", "a header without end", "headers without end"],
)
def test_large_headers_are_refused(strict: Node, request_: bytes) -> None:
    answer = send(strict.port, request_)
    assert answer.closed
    assert answer.statuses in ([431], []), "or cut off while it still sent"


@pytest.mark.parametrize(
    "endless", [b"1\r\n \r\n" * 100_000, b"0\r\n" + b"X: y\r\n" * 300_000], ids=["chunks", "trailers"]
)
def test_a_body_without_end_is_refused(strict: Node, endless: bytes) -> None:
    begun = b"POST /v1/recommend HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", strict.port)) as client:
        client.settimeout(5)
        with contextlib.suppress(OSError):
            client.sendall(begun + endless)
        answer = read(client)
    assert answer.closed
    assert answer.statuses in ([413], []), "or cut off while it still sent"


def test_as_many_and_as_large_headers_as_are_told_are_taken(strict: Node) -> None:
    assert send(strict.port, GET + b"X: y\r\n" * (MAX_HEADERS - 1) + b"\r\n", wait_s=0.3).statuses == [200]
    assert send(strict.port, GET + b"X: " + b"x" * 16_000 + b"\r\n\r\n", wait_s=0.3).statuses == [200]


SLOW = {
    "nothing at all": b"",
    "empty lines": b"\r\n\r\n",
    "half a request line": b"GET /liv",
    "half the headers": GET,
    "half a body": post("/v1/recommend", b"x" * 10)[:-5],
    "endless chunks": b"POST /v1/recommend HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n",
}


@pytest.mark.parametrize("begun", SLOW.values(), ids=SLOW.keys())
def test_a_request_that_does_not_arrive_is_given_up(strict: Node, begun: bytes) -> None:
    answer = send(strict.port, begun, wait_s=5)
    assert (answer.statuses, answer.closed) == ([408], True)
    assert answer.problem["type"] == "urn:recsvc:problem:too-slow"


def test_dripping_bytes_do_not_gain_time(strict: Node) -> None:
    begun_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", strict.port)) as client:
        client.settimeout(0.05)
        data = b""
        client.sendall(GET)
        while not data and time.monotonic() - begun_s < 10:
            client.sendall(b"X: y\r\n")
            try:
                data = client.recv(65536)
            except TimeoutError:
                continue
    assert data.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_rests_between_requests_is_not_slow(strict: Node) -> None:
    with socket.create_connection(("127.0.0.1", strict.port)) as client:
        client.settimeout(0.3)
        for _ in range(2):
            client.sendall(GET + b"\r\n")
            assert read(client).statuses == [200]
            time.sleep(1.2)  # longer than a request may take, and than a sweep


def again(node: Node) -> None:
    """Close the client's connections."""
    node.http.close()
    node.http = httpx.Client(base_url=f"http://{node.address}", timeout=5)


def test_one_connection_too_many_is_turned_away_and_told_so(strict: Node) -> None:
    again(strict)  # idle connections count too
    eventually(lambda: "recsvc_connections 1\n" in strict.http.get("/metrics").text)
    again(strict)
    held = [socket.create_connection(("127.0.0.1", strict.port)) for _ in range(8)]
    try:
        answer = send(strict.port)
        assert (answer.statuses, answer.closed) == ([503], True)
        assert answer.problem["type"] == "urn:recsvc:problem:too-many-connections"
        assert b"retry-after: 1\r\n" in answer.data
        assert strict.state()["store_ready"], "the admin socket has connections of its own"
    finally:
        for client in held:
            client.close()
    eventually(lambda: strict.http.get("/livez").status_code == 200)
    text = strict.http.get("/metrics").text
    assert 'recsvc_connections_refused_total{reason="too-many"} 0' not in text


def test_an_answer_that_nobody_takes_does_not_stay(strict: Node) -> None:
    """A client asks for more than its and our buffers hold, reads nothing, and goes on asking."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with client:
        client.connect(("127.0.0.1", strict.port))
        client.setblocking(False)
        asked = GET.replace(b"/livez", b"/openapi.json") + b"\r\n"
        end_s, gone = time.monotonic() + 10, False
        while not gone and time.monotonic() < end_s:
            try:
                client.send(asked * 20)
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                gone = True
        assert gone


def test_pipelined_requests_are_answered_in_order(strict: Node) -> None:
    both = GET + b"\r\n" + post("/v1/recommend", ASK) + post("/nowhere", ASK)
    assert send(strict.port, both, wait_s=0.4).statuses == [200, 200, 404]


def test_a_connection_that_asks_ahead_without_end_is_cut_off(strict: Node) -> None:
    """One read holds thousands of requests, and each waits as an object a hundred times its size."""
    answer = send(strict.port, (GET + b"\r\n") * 5_000, wait_s=5)
    assert answer.closed
    assert (answer.statuses[-1], len(answer.statuses) <= MAX_PIPELINED) == (503, True)
    assert b"urn:recsvc:problem:too-many-pipelined" in answer.data


def test_as_many_requests_ahead_as_are_told_are_answered_time_and_again(strict: Node) -> None:
    with socket.create_connection(("127.0.0.1", strict.port)) as client:
        client.settimeout(0.5)
        for _ in range(3):
            client.sendall((GET + b"\r\n") * MAX_PIPELINED)
            assert read(client).statuses == [200] * MAX_PIPELINED


@pytest.mark.parametrize("expects", [b"", b"Expect: 100-continue\r\n"], ids=["plain", "with expectations"])
def test_nothing_is_read_while_answers_are_owed(expects: bytes) -> None:
    asyncio.run(_nothing_is_read_while_answers_are_owed(expects))


async def _nothing_is_read_while_answers_are_owed(expects: bytes) -> None:
    """Seen at each request's turn: how many wait behind it, and whether more is read."""
    seen: list[tuple[int, bool]] = []

    async def livez(request: Request) -> Answer:
        connections: set[Any] = set(server.server_state.connections)
        seen.extend((len(each.pipeline), each.read_paused) for each in connections)
        return Answer(b"{}")

    server = Server(Application({"/livez": {"GET": livez}}, lambda answer: b""), Limits())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write((GET + expects + b"\r\n") * 5)
        for _ in range(5):
            await reader.readuntil(b"{}")
        writer.close()
        server.should_exit = True
        await serving
    assert seen == [(4, True), (3, True), (2, True), (1, True), (0, False)]


def test_a_request_that_is_answered_before_its_body_came_leaves_its_connection_open(strict: Node) -> None:
    asked = post("/nowhere", ASK)
    with socket.create_connection(("127.0.0.1", strict.port)) as client:
        client.settimeout(0.3)
        client.sendall(asked[: -len(ASK)])
        assert read(client).statuses == [404]
        client.sendall(ASK)
        time.sleep(1.2)  # longer than a request may take, and than a sweep
        client.sendall(GET + b"\r\n")
        answer = read(client)
    assert (answer.statuses, answer.closed) == ([200], False)


def test_who_waits_to_be_told_to_go_on_is_told_that_there_is_no_more(strict: Node) -> None:
    asked = post("/nowhere", ASK, "Expect: 100-continue")
    answer = send(strict.port, asked[: -len(ASK)])
    assert (answer.statuses, answer.closed) == ([404], True)
    assert b"connection: close\r\n" in answer.data


HALF = {"a body that never comes": post("/v1/recommend", ASK)[: -len(ASK)], "half a head": GET}


@pytest.mark.parametrize("half", HALF.values(), ids=HALF.keys())
def test_half_a_request_behind_one_that_is_answered_is_given_up(strict: Node, half: bytes) -> None:
    answer = send(strict.port, post("/v1/recommend", ASK) + half, wait_s=4)
    assert (answer.statuses, answer.closed) == ([200, 408], True)


def test_requests_that_are_cut_in_the_middle_by_the_network_are_not_slow(strict: Node) -> None:
    asked = GET + b"\r\n"
    with socket.create_connection(("127.0.0.1", strict.port)) as client:
        client.settimeout(0.3)
        client.sendall(asked[:20])
        for _ in range(30):  # 1.5 s, of which none lets a request wait for longer than 50 ms
            time.sleep(0.05)
            client.sendall(asked[20:] + asked[:20])
        client.sendall(asked[20:])
        answer = read(client)
    assert (answer.statuses, answer.closed) == ([200] * 31, False)


def test_a_trailer_is_no_header(strict: Node) -> None:
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%b\r\n0\r\nContent-Type: text/plain\r\n\r\n" % (len(ASK), ASK)
    assert send(strict.port, head + body, wait_s=0.3).statuses == [200]


def test_chunks_and_expectations_are_honoured(strict: Node) -> None:
    chunked = b"POST /v1/recommend HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = (b"7\r\n" + ASK[:7] + b"\r\n", b"7;x=y\r\n" + ASK[7:] + b"\r\n0\r\n\r\n")
    assert send(strict.port, chunked, *pieces, wait_s=0.3).statuses == [200]
    asked = post("/v1/recommend", ASK, "Expect: 100-continue")
    assert send(strict.port, asked[:-14], asked[-14:], wait_s=0.3).statuses[-1] == 200


def test_an_upgrade_is_passed_over_and_refused_with_a_body(strict: Node) -> None:
    asked = GET + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n"
    answer = send(strict.port, asked + GET + b"\r\n", wait_s=0.3)
    assert (answer.statuses, answer.closed) == ([200], True), "what came behind it is not kept waiting"
    assert send(strict.port, post("/v1/recommend", ASK, "Upgrade: h2c", "Connection: upgrade")).statuses == [400]


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("content-type", "application/json", 200),
        ("content-type", "Application/JSON; charset=utf-8", 200),
        ("content-encoding", "identity", 200),
        ("content-type", "text/plain", 415),
        ("content-type", "application/x-www-form-urlencoded", 415),
        ("content-type", "application/jsonp", 415),
        ("content-type", "", 415),
        ("content-encoding", "gzip", 415),
    ],
)
def test_only_plain_json_is_taken(strict: Node, header: str, value: str, status: int) -> None:
    answer = strict.http.post("/v1/recommend", content=ASK, headers={header: value})
    assert answer.status_code == status
    if status == 415:
        assert answer.headers["accept"] == "application/json"
        assert answer.json()["type"] == "urn:recsvc:problem:not-json-type"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"user": "u1", "user": "u2", "k": 3, "k": 5}', 200),  # RFC 8259 leaves it open: the last one counts
        (b'{"user": "u1", "k": 1' + b"0" * 4000 + b"}", 422),
        (b'{"user": "u1", "k": NaN}', 400),
        (b'{"user": "u1", "k": Infinity}', 400),
        (b'{"user": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", 422),
        (b'{"x": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b', "user": "u1"}', 422),
        (b'{"user": "\xed\xa0\x80"}', 400),
        (b'{"user": "u\\u0000"}', 200),
        (b'\xef\xbb\xbf{"user": "u1"}', 400),
        ('{"user": "u1"}'.encode("utf-16"), 400),
        (b'{"user": "u1"} {}', 400),
        (b'{"user": "u1", "k": 1e1}', 422),
    ],
)
def test_strange_json_is_never_an_error_of_ours(strict: Node, body: bytes, status: int) -> None:
    answer = strict.http.post("/v1/recommend", content=body)
    assert answer.status_code == status, answer.text
    if b'"k": 5' in body:
        assert len(answer.json()["items"]) == 5


def test_head_and_options_and_others(strict: Node) -> None:
    for path in ("/livez", "/readyz", "/v1/model", "/openapi.json", "/metrics", "/v1/events"):
        head, full = strict.http.head(path), strict.http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == full.headers["content-type"]
    for method in ("OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND", "HEAD"):
        refused = strict.http.request(method, "/v1/recommend")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert send(strict.port, b"OPTIONS * HTTP/1.1\r\nHost: node\r\n\r\n", wait_s=0.3).statuses == [404]
