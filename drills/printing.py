"""A report as a PDF: the very same page, printed by an installed Chromium that is told what to do over two pipes.

Pipes (Chromium's own ``--remote-debugging-pipe``), because the page says when its pictures for paper are drawn and must
be waited for, which no option of the command line does; because nothing listens on a port meanwhile; and because a
library that drives browsers would be a hundred megabytes for these few messages.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drills.errors import HostError, TargetError

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "microsoft-edge-stable"),
)
VARIABLE = "CHROMIUM"
"""The environment variable that names a browser elsewhere."""
TIMEOUT_S = 120.0
LEAVING_S = 5.0
_READ_BYTES = 2**20
_READY = "document.documentElement.dataset.print === 'ready'"
_FOOTER = (
    '<div style="width: 100%; font: 9px sans-serif; color: #4d5661; text-align: center">'
    'recdr · page <span class="pageNumber"></span> of <span class="totalPages"></span></div>'
)
_PAPER = {
    "preferCSSPageSize": True,
    "printBackground": True,
    "generateTaggedPDF": True,
    "generateDocumentOutline": True,
    "displayHeaderFooter": True,
    "headerTemplate": "<span></span>",
    "footerTemplate": _FOOTER,
}


def browser() -> str:
    """The path of the browser that prints; raises HostError where there is none."""
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return found
        raise HostError(f"{VARIABLE}={named}: no program of this name can be run; name a Chromium, Chrome or Edge")
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise HostError(
        "a PDF needs Chromium, Chrome or Edge, and none is on the PATH: install one (Debian: apt install chromium), or "
        f"name one by the variable {VARIABLE}, or print the page from any browser"
    )


def to_pdf(page: Path, pdf: Path, timeout_s: float = TIMEOUT_S) -> None:
    """Print the report ``page`` as ``pdf``, which is replaced whole or not at all.

    Raises HostError where no browser is there or it does not start, TargetError where it does not get done within
    ``timeout_s``.
    """
    printed = _printed(browser(), page, timeout_s)
    partial = pdf.with_name(f".{pdf.name}.partial")
    partial.write_bytes(printed)
    partial.replace(pdf)


def _printed(program: str, page: Path, timeout_s: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="recdr-pdf-", ignore_cleanup_errors=True) as folder:
        said = Path(folder) / "said.log"
        try:
            with _started(program, Path(folder), said) as (reading, writing):
                browser_ = _Browser(reading, writing, time.monotonic() + timeout_s)
                return _print(browser_, page)
        except TimeoutError as error:
            raise TargetError(f"{program} did not print {page} within {timeout_s:.0f} s: {error}") from error
        except (EOFError, BrokenPipeError) as error:
            raise HostError(f"{program} ended before {page} was printed: {_last_words(said)}") from error


@contextmanager
def _started(program: str, folder: Path, said: Path) -> Iterator[tuple[int, int]]:
    """The browser with its own profile in ``folder``: the pipe it answers on, and the one it is told things by."""
    its_reading, writing = os.pipe()
    reading, its_writing = os.pipe()
    command = [
        *(program, "--headless", "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"),
        *("--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-breakpad"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
        # Root has no user namespace to sandbox itself with.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        "about:blank",
    ]
    pid = 0
    try:
        with said.open("wb") as log:
            pid = _spawn(command, {3: its_reading, 4: its_writing, 1: log.fileno(), 2: log.fileno()})
        os.close(its_reading)
        os.close(its_writing)
        its_reading = its_writing = -1
        yield reading, writing
    finally:
        for end in (its_reading, its_writing, reading, writing):
            if end >= 0:
                os.close(end)
        if pid:
            _leave(pid)


def _spawn(command: list[str], files: Mapping[int, int]) -> int:
    """Start it in a session of its own, so that all its processes can be ended; its id.

    ``subprocess`` cannot say which numbers a child's files have, and Chromium wants 3 and 4.
    """
    high = {wanted: os.dup(given) for wanted, given in files.items()}
    while any(given <= max(files) for given in high.values()):  # none may be overwritten before it was copied
        high = {wanted: os.dup(given) if given <= max(files) else given for wanted, given in high.items()}
    actions = [(os.POSIX_SPAWN_DUP2, given, wanted) for wanted, given in high.items()]
    try:
        return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    except OSError as error:
        raise HostError(f"{command[0]} cannot be started: {error.strerror}") from error
    finally:
        for given in high.values():
            os.close(given)


def _leave(pid: int) -> None:
    """Wait for the browser to end, for a few seconds, and end what is left of it."""
    deadline = time.monotonic() + LEAVING_S
    gone = False
    while not gone and time.monotonic() < deadline:
        gone = os.waitpid(pid, os.WNOHANG)[0] == pid
        time.sleep(0 if gone else 0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not gone:
        os.waitpid(pid, 0)


class _Browser:
    """Sends commands and waits for their answers, until ``deadline`` on the monotonic clock."""

    def __init__(self, reading: int, writing: int, deadline: float) -> None:
        self._reading, self._writing, self._deadline = reading, writing, deadline
        self._rest = b""
        self._number = 0
        self.session: str | None = None

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; raises TargetError where the browser refuses it."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == self._number:
                break
        if "error" in answer:
            raise TargetError(f"the browser refused {method}: {answer['error'].get('message')}")
        return dict(answer["result"])

    def wait(self, seconds: float, what: str) -> None:
        """Sleep; raises TimeoutError where the time is over."""
        if time.monotonic() + seconds > self._deadline:
            raise TimeoutError(what)
        time.sleep(seconds)

    def _next(self, method: str) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self._rest:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._reading], [], [], left)[0]:
                raise TimeoutError(f"no answer to {method}")
            data = os.read(self._reading, _READ_BYTES)
            if not data:
                raise EOFError
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


def _print(browser_: _Browser, page: Path) -> bytes:
    target = browser_.ask("Target.createTarget", url="about:blank")["targetId"]
    browser_.session = browser_.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    opened = browser_.ask("Page.navigate", url=page.absolute().as_uri())
    if failed := opened.get("errorText"):
        raise HostError(
            f"the browser cannot open {page} ({failed}): one from a snap may not read hidden folders such as "
            f".recdr; name another by the variable {VARIABLE}"
        )
    while not browser_.ask("Runtime.evaluate", expression=_READY)["result"].get("value"):
        browser_.wait(0.1, "its charts were not drawn")
    printed = base64.b64decode(browser_.ask("Page.printToPDF", **_PAPER)["data"])
    browser_.session = None
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        browser_.ask("Browser.close")
    return printed


def _last_words(said: Path) -> str:
    """The last line that the browser wrote, for its error."""
    lines = said.read_text(errors="replace").strip().splitlines()
    return lines[-1][-400:] if lines else "it said nothing"
