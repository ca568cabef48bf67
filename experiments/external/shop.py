#!/usr/bin/env python3
"""A small shop in two regions behind an edge, on the standard library alone: something for recdr to drill.

    shop.py up | down | status           start everything in the background; end it; exit 0 if all of it serves
    shop.py kill REGION | start REGION   end the region's process at once; start it again, as a follower
    shop.py gone REGION                  exit 0 if nobody listens there
    shop.py lead REGION                  have this region take the writes, and the edge send everything there

A region answers recommendations (the same list for the same user everywhere) and stores events in a file. The leader
acknowledges an event once the follower has it too, or nobody listens there. The edge asks both regions ten times a
second how they are, and sends reads to the other one when the leader is gone; writes wait until a new one leads.
SHOP_PORT is the edge's port (default 28080), the regions have the next two; SHOP_DIR is where files go.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

EDGE = int(os.environ.get("SHOP_PORT", "28080"))
PORTS = {"primary": EDGE + 1, "standby": EDGE + 2}
FOLDER = Path(os.environ.get("SHOP_DIR") or Path(tempfile.gettempdir()) / f"shop-{os.getuid()}-{EDGE}")
ITEMS = [f"item-{i}" for i in range(1000)]
PAGE = 500


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True

    def do_GET(self):
        self.handle_with(b"")

    def do_POST(self):
        self.handle_with(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def handle_with(self, content):
        status, headers, answer = self.server.answer(self.command, self.path, content)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(answer)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Thousands of requests need no log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Region(Server):
    """One region: recommendations, and a log of events that the other region has too."""

    def __init__(self, name):
        self.name, self.leads, self.lock = name, False, threading.RLock()
        self.other = next(region for region in PORTS if region != name)
        self.file = (FOLDER / f"{name}.events").open("a+")
        self.file.seek(0)
        self.events = {event["id"]: event for event in map(json.loads, self.file)}
        self.since_start = {}
        super().__init__(("127.0.0.1", PORTS[name]), Handler)

    def catch_up(self):
        """Take over what the other region has. Called while serving, so that no event comes in between unseen."""
        while True:
            try:
                theirs = json.loads(ask(self.other, "GET", "/log"))
                break
            except ConnectionRefusedError:
                return  # both were down: what is in the file stands
            except OSError:
                time.sleep(0.1)
        with self.lock:  # what it alone had before it went down was never acknowledged
            self.events = {}
            self.file.truncate(0)
            for event in (theirs | self.since_start).values():
                self.keep(event)

    def keep(self, event):
        if event["id"] not in self.events:  # a client may well send it again
            self.events[event["id"]] = self.since_start[event["id"]] = event
            print(json.dumps(event), file=self.file, flush=True)

    def answer(self, method, target, content):
        url = urlsplit(target)
        body = json.loads(content) if content else {}
        act = getattr(self, f"{method.lower()}_{url.path.strip('/')}", None)
        status, answer = act(body, parse_qs(url.query)) if act else (404, {"error": "no such path"})
        return status, {"Content-Type": "application/json", "X-Region": self.name}, json.dumps(answer).encode()

    def post_recommend(self, body, _query):
        chosen = random.Random(body["user"]).sample(ITEMS, int(body["k"]))  # noqa: S311
        return 200, {"items": [{"id": item, "score": 1 / (rank + 1)} for rank, item in enumerate(chosen)]}

    def post_events(self, body, _query):
        with self.lock:
            if not self.leads:
                return 409, {"error": f"{self.name} does not lead"}
            self.keep(body)
            try:
                ask(self.other, "POST", "/copy", body)
            except ConnectionRefusedError:
                pass  # nobody there: it will catch up before it serves
            except OSError:
                return 503, {"error": f"{self.other} does not answer"}
            return 200, {"stored": True}

    def post_copy(self, body, _query):
        with self.lock:
            self.keep(body)
        return 200, {}

    def get_events(self, _body, query):
        after = int(query.get("after", ["0"])[0])
        with self.lock:
            page = list(self.events)[after : after + PAGE]
        return 200, {"events": [{"id": i} for i in page], "next": after + PAGE if len(page) == PAGE else None}

    def get_log(self, _body, _query):
        with self.lock:
            return 200, dict(self.events)

    def get_health(self, _body, _query):
        return 200, {"region": self.name, "leads": self.leads}

    def post_lead(self, body, _query):
        with self.lock:
            self.leads = body["leader"] == self.name
        return 200, {}


class Edge(Server):
    """Sends everything to the leader, and reads to the other region while the leader does not answer."""

    def __init__(self):
        self.leader, self.up = "primary", dict.fromkeys(PORTS, True)
        super().__init__(("127.0.0.1", EDGE), Handler)
        for region in PORTS:
            threading.Thread(target=self.watch, args=(region,), daemon=True).start()

    def watch(self, region):
        while True:
            try:
                told = json.loads(ask(region, "GET", "/health", timeout=0.5))
                if told["leads"] != (region == self.leader):
                    ask(region, "POST", "/lead", {"leader": self.leader})
                self.up[region] = True
            except OSError:
                self.up[region] = False
            time.sleep(0.1)

    def answer(self, method, target, content):
        if target == "/lead":
            return self.lead(json.loads(content)["leader"])
        other = next(region for region in PORTS if region != self.leader)
        regions = [self.leader, other] if self.up[self.leader] else [other]
        for region in regions if target == "/recommend" else [self.leader]:
            try:
                return self.forward(region, method, target, content)
            except OSError:
                continue
        return 502, {}, b'{"error": "nobody answers"}'

    def forward(self, region, method, target, content):
        with closing(http.client.HTTPConnection("127.0.0.1", PORTS[region], timeout=1)) as line:
            try:
                line.request(method, target, content)
                answer = line.getresponse()
                told = {name: answer.headers[name] for name in ("Content-Type", "X-Region") if name in answer.headers}
                return answer.status, told, answer.read()
            except http.client.HTTPException as error:
                raise OSError(f"{region}: {error}") from error

    def lead(self, region):
        """The old leader is told first, if it is there: at no time do two lead."""
        for one in sorted(PORTS, key=lambda one: one == region):
            try:
                ask(one, "POST", "/lead", {"leader": region})
            except OSError:
                if one == region:
                    return 503, {}, b'{"error": "it does not answer"}'
        self.leader = region
        return 200, {}, b"{}"


def ask(region, method, path, body=None, timeout=1.0):
    """The answer of a region, or of the edge; raises OSError where there is none."""
    with closing(http.client.HTTPConnection("127.0.0.1", PORTS.get(region, EDGE), timeout=timeout)) as line:
        try:
            line.request(method, path, None if body is None else json.dumps(body))
            answer = line.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{region}: {error}") from error
    if answer.status != 200:
        raise OSError(f"{region} said {answer.status}: {content.decode()}")
    return content


def serve(name):
    """Be the edge or a region, until killed."""
    (FOLDER / f"{name}.pid").write_text(str(os.getpid()))
    server = Edge() if name == "edge" else Region(name)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    if name != "edge":
        server.catch_up()  # while it serves, so that nothing is acknowledged that it has not seen
    serving.join()


def start(name):
    """Start a process in the background; return once it answers."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not alive(name):
        with (FOLDER / f"{name}.log").open("ab") as log:
            command = [sys.executable, __file__, "serve", name]
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 10
    while not alive(name):
        if time.monotonic() > deadline:
            sys.exit(f"{name} does not answer, see {FOLDER / name}.log")
        time.sleep(0.05)


def alive(name):
    try:
        ask(name, *(("POST", "/recommend", {"user": "status", "k": 1}) if name == "edge" else ("GET", "/health")))
    except OSError:
        return False
    return True


def kill(name):
    try:
        pid = int((FOLDER / f"{name}.pid").read_text())
        if f"shop.py\0serve\0{name}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():  # pids are used again
            os.kill(pid, signal.SIGKILL)
    except OSError:
        pass  # it does not run


def up():
    for name in ("edge", *PORTS):  # whatever an earlier one left
        kill(name)
        (FOLDER / f"{name}.events").unlink(missing_ok=True)
    for name in (*PORTS, "edge"):
        start(name)
    lead("primary")


def down():
    for name in ("edge", *PORTS):
        kill(name)


def status():
    sys.exit(not all(alive(name) for name in ("edge", *PORTS)))


def gone(region):
    try:
        ask(region, "GET", "/health")
    except ConnectionRefusedError:
        return
    sys.exit(1)


def lead(region):
    ask("edge", "POST", "/lead", {"leader": region})


if __name__ == "__main__":
    command, *arguments = sys.argv[1:] or ["help"]
    acts = {act.__name__: act for act in (up, down, status, kill, start, gone, lead, serve)}
    if command not in acts:
        sys.exit(__doc__)
    acts[command](*arguments)
