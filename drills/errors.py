"""Everything recdr tells a user went wrong.

    RecdrError                exit code
    ├── UsageError            2   the drill, an option or the host does not allow this
    │   ├── SpecError         2   a drill file is wrong: file, line, key, problem, remedy
    │   └── HostError         2   this machine lacks something (namespaces, port, disk): what and how to allow it
    ├── TargetError           3   a target broke on its own: nothing can be said about the service
    └── Interrupted         130   somebody stopped the run; it was healed first

Anything else that escapes is a bug in recdr and ends with exit code 70.
"""

from __future__ import annotations

from pathlib import Path

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_UNKNOWN = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class RecdrError(Exception):
    """Base of all errors meant for users; ``str()`` is the whole message."""

    exit_code = EXIT_UNKNOWN


class UsageError(RecdrError):
    """What was asked for cannot be done as asked; nothing was deployed."""

    exit_code = EXIT_USAGE


class SpecError(UsageError):
    """A drill file is wrong.

    ``line`` is 1-based; ``key`` is the dotted path of the offending key; ``remedy`` says what to write instead.
    """

    def __init__(
        self,
        path: Path | str,
        problem: str,
        *,
        key: str | None = None,
        line: int | None = None,
        remedy: str = "",
    ) -> None:
        self.path, self.problem, self.key, self.line, self.remedy = str(path), problem, key, line, remedy
        place = f"{path}:{line}" if line else str(path)
        at = f" {key}:" if key else ""
        super().__init__(f"{place}:{at} {problem}" + (f" {remedy}" if remedy else ""))


class HostError(UsageError):
    """This machine cannot do it; the message says what is missing and how to allow it."""


class TargetError(RecdrError):
    """A target failed for reasons of its own, so no verdict about the service is possible."""


class Interrupted(RecdrError):  # noqa: N818 - an interruption is not an error of anybody's
    """The run was stopped from outside after everything it broke had been healed."""

    exit_code = EXIT_INTERRUPTED
