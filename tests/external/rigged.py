"""A service in two regions behind an edge, in one process, and a rig for each way in which such a service can deceive.

    python -m tests.external.rigged RIG PORT

The edge listens on PORT, the doors of primary and standby on the next two. ``POST /control`` with ``lose`` or
``restore`` takes the primary away and gives it back. The service moves reads and writes to the standby by itself.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REGIONS = ("primary", "standby")
ITEMS = [f"item-{i}" for i in range(500)]
PAGE = 400
NOTICED_S = 0.3
DRIP_S = 0.5  # so that no read ever times out by itself
Answer = tuple[int, dict[str, str], bytes]


class GoneError(Exception):
    """Nobody answers: the connection is closed without a word."""


class Honest:
    """A service that does what it says."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stored: dict[str, list[str]] = {region: [] for region in REGIONS}
        self.lost_at: float | None = None

    @property
    def lost(self) -> bool:
        return self.lost_at is not None

    def control(self, what: str) -> bytes:
        with self.lock:
            if what == "lose" and not self.lost:
                self.lose()
            elif what == "restore" and self.lost:
                self.restore()
        return b"lost" if self.lost else b"there"

    def lose(self) -> None:
        self.lost_at = time.monotonic()

    def restore(self) -> None:
        self.stored["primary"] = list(self.stored["standby"])
        self.lost_at = None

    def serving(self) -> str:
        if self.lost_at is None:
            return "primary"
        if time.monotonic() - self.lost_at < NOTICED_S:
            raise GoneError
        return "standby"

    def answer(self, door: str | None, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        if door == "primary" and self.lost:
            raise GoneError
        region = self.door_of(door) if door else self.serving()
        if path == "/recommend":
            asked = body or {name: values[0] for name, values in query.items()}
            return self.read(region, str(asked["user"]), int(asked["k"]))
        if path == "/events" and body is not None:
            return self.write(region, str(body["id"]))
        if path.startswith("/events/"):
            number = path.removeprefix("/events/")
            return self.look_up(region, number) if body is None else self.write(region, number)
        return self.read_back(region, query.get("after", ["0"])[0])

    def say(self, region: str, document: Any, status: int = 200) -> Answer:
        headers = {"X-Region": self.called(region), "Content-Type": "application/json"}
        return status, headers, json.dumps(document).encode()

    def called(self, region: str) -> str:
        return region

    def door_of(self, door: str) -> str:
        return door

    def look_up(self, region: str, number: str) -> Answer:
        return self.say(region, {"id": number}, 200 if number in self.stored[region] else 404)

    def read(self, region: str, user: str, k: int) -> Answer:
        return self.say(region, {"items": self.listed(region, user, k)})

    def listed(self, region: str, user: str, k: int) -> list[str]:
        return random.Random(user).sample(ITEMS, k)

    def write(self, region: str, number: str) -> Answer:
        with self.lock:
            self.store(region, number)
        return self.say(region, {"stored": True})

    def store(self, region: str, number: str) -> None:
        for one in REGIONS:
            if not (one == "primary" and self.lost):
                self.stored[one].append(number)

    def read_back(self, region: str, after: str) -> Answer:
        begin = int(after)
        with self.lock:
            page = self.stored[region][begin : begin + PAGE]
        following = str(begin + PAGE) if len(page) == PAGE else None
        return self.say(region, {"ids": page, "next": following})


class Careless(Honest):
    """Acknowledges what it is sent, forgets every fifth while on the standby, and stores the rest twice."""

    def store(self, region: str, number: str) -> None:
        if region == "primary" or random.random() > 0.2:
            super().store(region, number)
            super().store(region, number)


class OneRegion(Honest):
    """Acknowledges an event when one region has it, and never tells the other one."""

    def store(self, region: str, number: str) -> None:
        self.stored[region].append(number)

    def restore(self) -> None:
        self.lost_at = None


class Excuses(Honest):
    """The standby has an excuse for each read, five in turn, and tells writes with 200 that it has stored nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = itertools.count()

    def read(self, region: str, user: str, k: int) -> Answer:
        status, headers, content = super().read(region, user, k)
        if region == "primary":
            return status, headers, content
        excuses: list[Answer] = [
            self.say(region, {"items": []}),
            (302, {"Location": "/events"}, b""),
            (200, {"Content-Type": "text/html"}, b"<html><body>We will be back soon!</body></html>"),
            (status, {**headers, "X-Cut": "1"}, content),
            (status, {**headers, "X-Drip": "1"}, content),
        ]
        return excuses[next(self.turns) % len(excuses)]

    def write(self, region: str, number: str) -> Answer:
        return super().write(region, number) if region == "primary" else self.say(region, {"stored": False})


class Frozen(Honest):
    """Everybody gets the same list, always."""

    def listed(self, region: str, user: str, k: int) -> list[str]:
        return ITEMS[:k]


class FrozenAfter(Honest):
    """Everybody gets the same list from the standby."""

    def listed(self, region: str, user: str, k: int) -> list[str]:
        return super().listed(region, user, k) if region == "primary" else ITEMS[:k]


class Poor(Honest):
    """The standby serves one user another data set, the next one item again and again, the third only three."""

    def listed(self, region: str, user: str, k: int) -> list[str]:
        found = super().listed(region, user, k)
        if region == "primary":
            return found
        kinds = [super().listed(region, f"{user} of yesteryear", k), found[:1] * k, found[:3]]
        return kinds[int(user.removeprefix("u")) % len(kinds)]


class Flaps(Honest):
    """The standby fails for a third of every second and a half."""

    def serving(self) -> str:
        if self.lost and time.monotonic() % 1.5 < 0.5:
            raise GoneError
        return super().serving()


class TornReadBack(Honest):
    """The primary's listing comes to its own beginning again, the standby's breaks on its second page."""

    def read_back(self, region: str, after: str) -> Answer:
        if region == "primary":
            return self.say(region, {"ids": self.stored[region][:PAGE], "next": "0"})
        if after != "0":
            return self.say(region, {"error": "database is locked"}, 500)
        return self.say(region, {"ids": self.stored[region][:PAGE], "next": str(PAGE)})


class EndlessReadBack(Honest):
    """The listing never ends: there is always one more page."""

    def read_back(self, region: str, after: str) -> Answer:
        time.sleep(0.05)  # it is asked for as long as recdr has patience, while others are measured
        return self.say(region, {"ids": self.stored[region][:1], "next": str(int(after) + 1)})


class LyingHeader(Honest):
    """Whoever answers, says it is the primary: its log cannot be told from the standby's."""

    def called(self, region: str) -> str:
        return "primary"


class TwoMasters(Honest):
    """After the primary came back both regions take writes in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.back = False
        self.turn = 0

    def restore(self) -> None:
        super().restore()
        self.back = True

    def write(self, region: str, number: str) -> Answer:
        self.turn += 1
        return super().write(REGIONS[self.turn % 2] if self.back else region, number)


class NeverBack(Honest):
    """What was lost stays lost."""

    def restore(self) -> None:
        """Nothing."""


class Unmoved(Honest):
    """The fault does not reach it."""

    def lose(self) -> None:
        """Nothing."""


class ActiveActive(Honest):
    """Both regions answer at any time, one much more rarely than the other, and the fault does not reach it."""

    def lose(self) -> None:
        """Nothing."""

    def serving(self) -> str:
        return random.choice(["primary"] * 7 + ["standby"])


class Flaky(Honest):
    """Now and then a request fails, always, and the fault does not reach it."""

    def lose(self) -> None:
        """Nothing."""

    def serving(self) -> str:
        if random.random() < 0.03:
            raise GoneError
        return "primary"


class Unwritten(Honest):
    """Only writes fail while it is lost."""

    def lose(self) -> None:
        self.lost_at = 0.0

    def answer(self, door: str | None, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        if path == "/recommend":
            return self.read("primary", str(body["user"]), int(body["k"]))
        if self.lost and path == "/events" and body is not None:
            return self.say("primary", {"error": "read-only"}, 503)
        return super().answer(door, path, query, body)


class Dead(Honest):
    """Nothing takes over: the edge is silent until the primary is back."""

    def serving(self) -> str:
        if self.lost:
            raise GoneError
        return "primary"


class Forgetful(Honest):
    """The primary comes back with an empty log, and serves it."""

    def restore(self) -> None:
        self.stored["primary"] = []
        self.lost_at = None


class HaveAll(Honest):
    """Forgets a fifth of what the standby was sent, and finds whatever it is asked for by its id."""

    def store(self, region: str, number: str) -> None:
        if region == "primary" or random.random() > 0.2:
            super().store(region, number)

    def look_up(self, region: str, number: str) -> Answer:
        found = number in self.stored[region]
        return self.say(region, {"id": number, "found": found})


class OneDoorForTwo(Honest):
    """The standby's door leads to the primary, and so nobody sees that the standby keeps nothing."""

    def door_of(self, door: str) -> str:
        return "primary"

    def store(self, region: str, number: str) -> None:
        self.stored["primary"].append(number)

    def restore(self) -> None:
        self.lost_at = None

    def called(self, region: str) -> str:
        return {"primary": "eu-1", "standby": "us-1"}[region]


class ForgetsLater(Honest):
    """The primary is read back whole once; then most of what it had is gone."""

    reads = 0

    def read_back(self, region: str, after: str) -> Answer:
        if region == "primary" and after == "0":
            self.reads += 1
            if self.reads > 1:
                self.stored["primary"] = self.stored["primary"][:20]
        return super().read_back(region, after)


class HalfDeaf(Honest):
    """The standby does all that it is asked and, every second time, closes the connection without a word."""

    turn = 0

    def answer(self, door: str | None, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        found = super().answer(door, path, query, body)
        if door is None and self.lost:
            self.turn += 1
            if self.turn % 2:
                raise GoneError
        return found


class Rotates(Honest):
    """Everybody gets the same items from the standby, turned by one or two places."""

    def listed(self, region: str, user: str, k: int) -> list[str]:
        turn = int(user.removeprefix("u")) % 3
        return super().listed(region, user, k) if region == "primary" else [*ITEMS[turn:k], *ITEMS[:turn]]


RIGS: dict[str, type[Honest]] = {kind.__name__: kind for kind in (Honest, *Honest.__subclasses__())}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_GET(self) -> None:
        self.serve(None)

    def do_POST(self) -> None:
        self.serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST  # noqa: N815 - http.server calls it by this name

    def serve(self, content: bytes | None) -> None:
        url = urlsplit(self.path)
        service = self.server.service
        if url.path == "/control":
            self.reply(200, {}, service.control((content or b"").decode()))
            return
        try:
            body = None if content is None else json.loads(content)
            self.reply(*service.answer(self.server.door, url.path, parse_qs(url.query), body))
        except GoneError:
            self.close_connection = True

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + 10 * ("X-Cut" in headers)))
        self.end_headers()
        if "X-Drip" not in headers:
            self.wfile.write(content)
            self.close_connection |= "X-Cut" in headers
            return
        for byte in content:
            self.wfile.write(bytes([byte]))
            time.sleep(DRIP_S)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, service: Honest, door: str | None) -> None:
        self.service, self.door = service, door
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients who left while they were answered are no concern of ours."""


def serve(rig: str, port: int) -> None:
    """Serve until killed."""
    service = RIGS[rig]()
    listeners = [Listener(port + i, service, door) for i, door in enumerate((None, *REGIONS))]
    for listener in listeners[1:]:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
    listeners[0].serve_forever()


def control(port: int, what: str) -> str:
    """Tell a running service to lose or restore its primary; returns ``lost`` or ``there``."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as line:
        line.request("POST", "/control", what)
        return line.getresponse().read().decode()


def main(command: str, *arguments: str) -> int:
    """``serve RIG PORT``, ``lose PORT``, ``restore PORT``, ``is-lost PORT`` (0: it is)."""
    if command == "serve":
        serve(arguments[0], int(arguments[1]))
    state = control(int(arguments[0]), command)
    return int(state != "lost") if command == "is-lost" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
