"""Run many cases and say what was left of each; exits 1 if anything was."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.chaos.case import drawn
from tests.chaos.run import Place, Result, perform

# Started in the background by a shell, this process ignores Ctrl-C, and so would every recdr that it interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others follow")
    parser.add_argument("--workers", type=int, default=2, help="cases at a time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recdr-chaos-", ignore_cleanup_errors=True) as folder:
        results = perform_all(range(asked.seed, asked.seed + asked.runs), asked.workers, Path(folder))
    failed = [result.case.seed for result in results if result.left]
    hit = sum(1 for result in results if result.victim)
    _say(f"{len(results)} runs, {hit} of them hit in time; something was left of {len(failed)}: {failed or 'none'}")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def perform_all(seeds: range, workers: int, folder: Path) -> list[Result]:
    """Perform the cases of all seeds, some at a time, each worker with a lab of its own."""
    places: SimpleQueue[Place] = SimpleQueue()
    every = [Place(folder / f"home-{number}") for number in range(workers)]
    for place in every:
        places.put(place)

    def one(seed: int) -> Result:
        place = places.get()
        try:
            result = perform(drawn(seed), place)
        finally:
            places.put(place)
        _say(result.words)
        return result

    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, seeds))
    finally:
        for place in every:
            place.close()


if __name__ == "__main__":
    sys.exit(main())
