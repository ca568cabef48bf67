"""``python -m recsvc.commands.prepare``: get a data set, clean it and store it, without training anything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from recsvc import data
from recsvc.commands import asking
from recsvc.commands.running import run
from recsvc.data.storage import report_of
from recsvc.recipe import Progress


def prepare(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Where the data set lies and what cleaning did; raises `data.DataError`."""
    acquired = data.acquire(
        asking.request(options),
        options.cache,
        lambda message: progress("data", 0, 1, message),
        progress=progress,
        again=options.again,
    )
    progress("data", 1, 1, f"data from {acquired.source}")
    return {
        "data": acquired.name,
        "source": acquired.source,
        "synthetic": acquired.synthetic,
        "folder": str(acquired.folder),
        "sha256": acquired.sha256,
        "cleaning": asdict(report_of(acquired)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.prepare", description="Get and clean a data set.")
    asking.add_data_options(parser)
    parser.add_argument("--again", action="store_true", help="read the source again even if it is stored")
    return run(prepare, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
