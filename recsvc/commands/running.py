"""What the commands share: progress on stderr, one answer on stdout, errors as exit codes."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from recsvc.bundle import BundleError
from recsvc.data import DataError
from recsvc.recipe import Progress

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]

EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130


def run(command: Command, parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run a command and print its answer; returns the exit code."""
    parser.add_argument("--cache", type=Path, required=True, help="folder for data and bundles; made if missing")
    parser.add_argument("--progress", choices=("lines", "bar"), default="lines", help="default: %(default)s")
    options = parser.parse_args(arguments)
    options.cache = options.cache.resolve()
    stop = _Stop()
    with stop, _display(options.progress) as progress:
        try:
            answer = command(options, stop.heeding(progress))
        except (DataError, BundleError, OSError) as error:
            progress("error", 0, 1, str(error))
            return EXIT_UNUSABLE
        except KeyboardInterrupt:
            progress("error", 0, 1, "interrupted; nothing half done is left")
            return EXIT_INTERRUPTED
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return 0


class _Stop:
    """A request to stop as KeyboardInterrupt: once, for what is tidied up then must not be interrupted."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        # Of two signals, from the terminal and from the parent, the second counts for nothing.
        if not self._asked:
            self._asked = True
            raise KeyboardInterrupt

    def heeding(self, progress: Progress) -> Progress:
        """``progress`` that raises what was raised in a place where Python cannot let it through, as in a finaliser."""

        def heeding(stage: str, done: int, total: int, message: str) -> None:
            if self._asked:
                raise KeyboardInterrupt
            progress(stage, done, total, message)

        return heeding


def _display(style: str) -> contextlib.AbstractContextManager[Progress]:
    if style == "lines":
        return contextlib.nullcontext(_lines)
    from recsvc.progress import bars  # noqa: PLC0415 - rich costs 0.1 s, and only people ask for it

    return bars()


def _lines(stage: str, done: int, total: int, message: str) -> None:
    line = {"stage": stage, "done": done, "total": total, "message": message}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()
