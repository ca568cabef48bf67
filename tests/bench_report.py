"""How long the report of a run with a million requests takes, and how large it is: one trial, and twenty of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.reports import fakerun

MILLION_PER_S = 29_750
"""So many requests/s of load, with the probes, make a million in ``fakerun``'s trial."""
TRIALS = 20


def report(folder: Path) -> Iterator[dict[str, float]]:
    """Seconds from the start of the interpreter to the last file written, in a process of its own."""
    one = fakerun.write(folder / "one", load=MILLION_PER_S)
    twenty = fakerun.write(folder / "twenty", trials=TRIALS, load=MILLION_PER_S / TRIALS)
    while True:
        figures = {}
        for run_dir in (one, twenty):
            begin = time.monotonic()
            script = "import pathlib, sys, reports; reports.build(pathlib.Path(sys.argv[1]))"
            subprocess.run([sys.executable, "-c", script, str(run_dir)], check=True)
            figures[f"{run_dir.name}_build_s"] = time.monotonic() - begin
            figures[f"{run_dir.name}_mb"] = (run_dir / "report.html").stat().st_size / 1e6
        yield figures
