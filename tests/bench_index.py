"""How long the page over many runs takes, measured on copies of a made-up run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import reports
from drills.history import history
from tests.reports import fakerun

RUNS, DRILLS = 500, 20


def index(folder: Path) -> Iterator[dict[str, float]]:
    """Seconds and bytes of ``recdr report index`` over 500 runs of 20 drills."""
    runs = folder / "runs"
    one = fakerun.write(folder / "one", load=2, length_s=24)
    for number in range(RUNS):
        run = runs / f"20261122-{number:06}-drill-0000"
        run.mkdir(parents=True)
        meta = json.loads((one / "meta.json").read_text())
        meta["drill"]["file"] = f"drill-{number % DRILLS}.yaml"
        (run / "meta.json").write_text(json.dumps(meta))
        shutil.copyfile(one / "verdict.json", run / "verdict.json")
        (run / "report.html").touch()
    while True:
        begin = time.monotonic()
        page = reports.build_index([(runs / row.run, row) for row in history(runs)], runs / "index.html")
        yield {"index_500_runs_s": time.monotonic() - begin, "index_500_runs_mb": page.stat().st_size / 1e6}
