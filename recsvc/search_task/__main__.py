"""``python -m recsvc.search_task BUNDLE``: the held-out query task's report as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from recsvc.bundle import Bundle, BundleError
from recsvc.search_task import RESAMPLES, report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m recsvc.search_task", description=__doc__)
    parser.add_argument("bundle", type=Path, help="the folder of a bundle")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="for the intervals (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        measured = report(Bundle.load(arguments.bundle), resamples=arguments.resamples, say=_say)
    except BundleError as error:
        _say(str(error))
        return 1
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
