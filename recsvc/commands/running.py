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
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    with _display(options.progress) as progress:
        try:
            answer = command(options, progress)
        except (DataError, BundleError, OSError) as error:
            progress("error", 0, 1, str(error))
            return EXIT_UNUSABLE
        except KeyboardInterrupt:
            progress("error", 0, 1, "interrupted; nothing half done is left")
            return EXIT_INTERRUPTED
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # The second of two signals, from the terminal and from the parent, must not cut short the tidying up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _display(style: str) -> contextlib.AbstractContextManager[Progress]:
    if style == "lines":
        return contextlib.nullcontext(_lines)
    from recsvc.progress import bars  # noqa: PLC0415 - rich costs 0.1 s, and only people ask for it

    return bars()


def _lines(stage: str, done: int, total: int, message: str) -> None:
    line = {"stage": stage, "done": done, "total": total, "message": message}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()
