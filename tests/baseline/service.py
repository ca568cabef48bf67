"""A small service in two regions, served from threads of the test, and a drill for it; what it answers can be bent."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

REGIONS = ("primary", "standby")
ITEMS = [f"item-{n}" for n in range(200)]
Listed = Callable[[str, str, int], list[str] | None]


def usual(region: str, user: str, k: int) -> list[str] | None:
    """What a user likes, the same in both regions; None would be an error 500."""
    return random.Random(user).sample(ITEMS, k)


@dataclass
class Shop:
    """``listed(region, user, k)`` is what it recommends; ``ports`` are those of the edge and the regions' doors."""

    listed: Listed = usual
    writes: bool = True
    says: dict[str, str] = field(default_factory=lambda: {region: region for region in REGIONS})
    ports: dict[str, int] = field(default_factory=dict)

    def drill(self, path: Path, *, service: dict[str, Any] | None = None, **settings: Any) -> Path:
        """A drill file for this shop that breaks nothing and is quick; settings given as None are left out."""
        described: dict[str, Any] = {
            "name": "shop",
            "edge": f"http://127.0.0.1:{self.ports['edge']}",
            "regions": {region: f"http://127.0.0.1:{self.ports[region]}" for region in REGIONS},
            "read": {"path": "/recommend", "body": {"user": "{user}", "k": "{k}"}, "ids": "$.items"},
            "write": {"path": "/events", "body": {"id": "{id}"}, "acknowledged": "$.stored"},
            "region": {"header": "X-Region"},
            "users": {"count": 40, "prefix": "user-"},
            "items": {"count": 100, "prefix": "item-"},
            **(service or {}),
        }
        own: dict[str, Any] = {
            "name": "recdr",
            "target": "external",
            "service": {name: value for name, value in described.items() if value is not None},
            "load": {"rate": 0},
            "probes": {"evaluation_users": 20, "reads_per_s": 50, "writes_per_s": 20, "quality_per_s": 20},
            "settle_s": 2.5,
            "objectives": {"availability": {"min": 0.9}},
            **settings,
        }
        noop = {"type": "python", "module": "drills.faults.noop", "func": "inject"}
        document = {
            "title": "The shop sells",
            "description": "Nothing is broken.",
            "method": [{"type": "action", "name": "nothing", "provider": noop}],
            "extensions": [own],
        }
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path


@contextmanager
def served(shop: Shop) -> Iterator[Shop]:
    """The shop at ports of its own."""
    with ExitStack() as stack:
        for name in ("edge", *REGIONS):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _handler(shop, name)))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            shop.ports[name] = server.server_address[1]
        yield shop


def _handler(shop: Shop, door: str) -> type[BaseHTTPRequestHandler]:
    region = "primary" if door == "edge" else door

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer(200, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            if self.path == "/events":
                self.answer(200 if shop.writes else 503, {"stored": shop.writes})
                return
            items = shop.listed(door, body["user"], body["k"])
            self.answer(500 if items is None else 200, {"items": items})

        def answer(self, status: int, document: Any) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("X-Region", shop.says[region])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
