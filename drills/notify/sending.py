"""Send messages through a child process that is given so many seconds, and killed then."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from drills.errors import UsageError
from drills.interruption import STOPPING
from drills.notify.destinations import Destination, Destinations
from drills.notify.hidden import hide
from drills.notify.message import Message
from drills.processes import die_with_parent

LIMIT_S = 15.0
GIVEN_UP = "given up, for recdr was asked to stop"
READ_S = 0.3
"""To read what a child has said already, after the time is up."""
CHECK_S = 30.0
"""Loading the library is most of it, and takes long on a busy machine."""


@dataclass(frozen=True)
class Delivery:
    """What came of one message. ``variable`` names its destination; ``why``: what went wrong, without any secret."""

    variable: str
    service: str
    sent: bool
    why: str

    @property
    def line(self) -> str:
        """It in a few words."""
        where = f"{self.service} ({self.variable})" if self.service else self.variable
        if self.sent:
            return f"told {where}" + (f", {self.why}" if self.why else "")
        return f"NOT told {where}: {self.why or 'nobody knows why'}"


class _GivenUp(BaseException):
    """Somebody asked this process to stop: the messages are not worth waiting for."""


def send(outgoing: Sequence[tuple[Destination, Message]], limit_s: float = LIMIT_S) -> list[Delivery]:
    """Send each message to every address of its destination; returns within about ``limit_s``, and raises nothing."""
    jobs = [
        (destination.variable, {"address": address, **vars(message)})
        for destination, message in outgoing
        for address in destination.addresses
    ]
    return _done("send", jobs, limit_s) if jobs else []


def check(destinations: Destinations) -> None:
    """Raise UsageError, naming the variable, for an address that no service is known for; nothing is sent."""
    jobs = [(found.variable, {"address": address}) for found in destinations.found for address in found.addresses]
    wrong = {found.variable: found.why for found in _done("check", jobs, CHECK_S) if not found.sent} if jobs else {}
    for variable, why in wrong.items():
        raise UsageError(
            f"{variable}: {why}. Write it as slack://..., mailto://..., jsons://... or the like, blanks between two; "
            "docs/outward.md has examples, and 'recdr notify test' tries it"
        )


def _done(do: str, jobs: Sequence[tuple[str, dict[str, Any]]], limit_s: float) -> list[Delivery]:
    """What came of each job, done side by side in processes of their own."""
    addresses = [job["address"] for _, job in jobs]
    running: list[subprocess.Popen[str]] = []
    answers: list[dict[str, Any]] = []
    ended = "the process that sends could not be started"
    try:
        with _heard():
            deadline = time.monotonic() + limit_s
            for _, job in jobs:
                running.append(_started({"do": do, "seconds": limit_s, **job}))
            answers = _answers(running, deadline, f"no answer within {limit_s:g} s")
    except _GivenUp:
        ended = GIVEN_UP
    except OSError as error:
        ended = f"{ended} ({error.strerror})"
    finally:
        for child in running:
            _kill(child)
    answers += [{"why": ended}] * (len(jobs) - len(answers))
    return [
        Delivery(job[0], str(one.get("service", "")), one.get("sent") is True, hide(str(one.get("why", "")), addresses))
        for job, one in zip(jobs, answers, strict=True)
    ]


def _answers(running: Sequence[subprocess.Popen[str]], deadline: float, too_late: str) -> list[dict[str, Any]]:
    """What the children said in time; asked to stop, what they have said by now."""
    answers = []
    for child in running:
        try:
            answer = _answer(child, deadline)
        except _GivenUp:
            deadline, too_late = 0.0, GIVEN_UP
            answer = _answer(child, deadline)
        answers.append({"why": too_late} if answer is None else answer)
    return answers


def _started(job: dict[str, Any]) -> subprocess.Popen[str]:
    """A child with its job; the address goes through a pipe, for command lines and environments can be read."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "drills.notify.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # tracebacks hold addresses
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing else runs in this process by now
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
        pipe.write(json.dumps(job))
    child.stdin = None
    return child


def _answer(child: subprocess.Popen[str], deadline: float) -> dict[str, Any] | None:
    """What a child says until the deadline; None: nothing."""
    try:
        said, _ = child.communicate(timeout=max(READ_S, deadline - time.monotonic()))
        answer = json.loads(said)
    except subprocess.TimeoutExpired:
        return None
    except ValueError:
        return {"why": "the process that sends ended early"}
    return answer if isinstance(answer, dict) else {}


def _kill(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


@contextmanager
def _heard() -> Iterator[None]:
    """Let a request to stop end the sending, and nothing else: the exit code is the verdict's."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise _GivenUp

    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, give_up) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
