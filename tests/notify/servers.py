"""Real receivers of messages on this machine: a webhook that answers, refuses, hangs or hangs up, and a mail server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from tests.external.services import free_ports


@dataclass
class Webhook:
    """``status``: what it answers; ``behaviour``: answer, hang (until it is closed), or drop the connection.

    ``most_bytes``: a longer request is refused with 413. ``got``: what came, as (path, document).
    """

    status: int = 200
    behaviour: str = "answer"
    most_bytes: int = 2**30
    port: int = 0
    got: list[tuple[str, Any]] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def documents(self) -> list[Any]:
        return [document for _, document in self.got]


@contextmanager
def webhook(**how: Any) -> Iterator[Webhook]:
    hook = Webhook(**how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            hook.got.append((self.path, json.loads(body)))
            if hook.behaviour == "hang":
                hook.let_go.wait(60)
            if hook.behaviour != "answer":
                self.close_connection = True
                return
            self.send_response(413 if len(body) > hook.most_bytes else hook.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        hook.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    port: int
    got: list[Message] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox(0)

    class Keep(MessageHandler):
        def handle_message(self, message: Message) -> None:
            box.got.append(message)

    box.port = free_ports(1)
    controller = Controller(Keep(), hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
