"""The command line: the only place where errors become messages and exit codes."""

from __future__ import annotations

import sys

from drills.errors import EXIT_INTERRUPTED

__all__ = ["main"]


def main() -> None:
    """Run ``recdr``. All that it needs is loaded here: that takes a second, in which people press Ctrl-C, too."""
    try:
        from drills.cli import app  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    app.main()
