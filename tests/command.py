"""The command line called in this process: the same ``main``, without a second of start-up for every call."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from drills import cli
from drills.cli.terminal import ERR, OUT

WIDTH = 160


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said, as ``subprocess.CompletedProcess`` names it."""

    returncode: int
    stdout: str
    stderr: str


def recdr(home: Path, *arguments: str) -> Ended:
    """Run ``recdr`` with ``arguments`` and a home of its own; not for commands that start processes or take signals."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"RECDR_HOME": str(home)}),
        mock.patch.object(sys, "argv", ["recdr", *arguments]),
        mock.patch.object(OUT, "_width", WIDTH),
        mock.patch.object(ERR, "_width", WIDTH),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    return Ended(code, out.getvalue(), err.getvalue())
