"""Speeds, measured and printed, never asserted: ``nox -s bench -- judge report index`` (default: all in BENCHES).

Every figure is shown with its spread over the rounds; ``--rounds N`` says how many. Those in TABLES compare things with
one another, print a table of their own and run by name only: some of them install other servers. ``accelerator`` prints
distributions and has options of its own (``accelerator --help``).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from drills import engine, judging, model, spec
from drills.cli.terminal import OUT, Lines
from drills.home import cache
from drills.recording.rundir import RunDir
from drills.spec import Topology
from drills.targets.local.target import LocalTarget
from drills.verdict import Verdict
from tests import bench_accelerator
from tests.bench_index import index
from tests.bench_measures import measures
from tests.bench_overhead import overhead
from tests.bench_report import report
from tests.bench_serving import serving
from tests.bench_topk import topk
from tests.bench_users import users

Figures = dict[str, float]


def deploy(folder: Path) -> Iterator[Figures]:
    """Seconds from nothing to a lab that serves, and from there to nothing, with the model in the cache."""
    bundle = model.prepare(cache(), lambda *_: None)
    while True:
        lab = LocalTarget(folder / str(time.monotonic_ns()), bundle)
        begin = time.monotonic()
        lab.deploy(Topology(accelerator="cpu"))
        up = time.monotonic()
        lab.teardown()
        yield {"deploy_s": up - begin, "teardown_s": time.monotonic() - up}


def failover(folder: Path) -> Iterator[Figures]:
    """What users saw when the primary region was lost."""
    drill = spec.load(spec.find("failover.yaml"))
    seed = 0
    while True:
        seed += 1
        begin = time.monotonic()
        run = engine.run(drill, engine.Options(seed=seed, out=folder), Lines())
        verdict = judging.judge_run(run)
        wanted = ("rto_read_s", "rto_write_s", "rpo_events", "p99_ms@after")
        yield {**_values(verdict, wanted), "whole_drill_s": time.monotonic() - begin}


def judge(folder: Path) -> Iterator[Figures]:
    """Seconds to judge a recorded failover again and to rebuild its report."""
    run: RunDir = engine.run(spec.load(spec.find("failover.yaml")), engine.Options(seed=1, out=folder), Lines())
    while True:
        begin = time.monotonic()
        judging.judge_run(run)
        yield {"judge_and_report_s": time.monotonic() - begin}


def _values(verdict: Verdict, names: tuple[str, ...]) -> Figures:
    values = {name: verdict.measures[name].measure.value for name in names}
    return {name: value for name, value in values.items() if value is not None}


BENCHES: dict[str, Callable[[Path], Iterator[Figures]]] = {
    "deploy": deploy,
    "failover": failover,
    "judge": judge,
    "measures": measures,
    "report": report,
    "index": index,
    "topk": topk,
    "overhead": overhead,
}

TABLES: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "serving": serving,
    "users": users,
}


def main() -> None:
    if sys.argv[1:2] == ["accelerator"]:
        bench_accelerator.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="BENCH", help=f"of {', '.join([*BENCHES, *TABLES])}")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a load lasts (serving, users)")
    parser.add_argument("--only", nargs="*", metavar="RIVAL", help="only these rivals (serving)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round of the tables")
    options = parser.parse_args()
    tables = {name: _table(name, options) for name in options.names if name in TABLES}
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1))
    for name in [name for name in options.names if name not in TABLES] or ([] if options.names else BENCHES):
        with tempfile.TemporaryDirectory(prefix="recdr-bench-") as folder:
            bench = BENCHES[name](Path(folder))
            rounds = [next(bench) for _ in range(options.rounds)]
        OUT.print(f"{name}: {options.rounds} rounds, median (least to greatest)")
        for figure in rounds[0]:
            values = sorted(entry[figure] for entry in rounds if figure in entry)
            OUT.print(f"  {figure:20} {median(values):8.3f} ({values[0]:.3f} to {values[-1]:.3f})")


def _table(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="recdr-bench-") as folder:
        return TABLES[name](Path(folder), options)


if __name__ == "__main__":
    main()
