"""The command line: the only place where errors become messages and exit codes."""

from drills.cli.app import main

__all__ = ["main"]
