"""From a run directory to its verdict and reports: nothing but the directory is needed, on any machine, at any time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import reports
from drills import record, rundir, spec, timeline, verdict
from drills.measures import Settings, baseline_of
from drills.rundir import RunDir
from drills.spec import Drill
from drills.timeline import Requests


def judge_run(run: RunDir) -> verdict.Verdict:
    """Judge the run by its record, write ``verdict.json``, and build the reports; raises UsageError for no run."""
    meta = rundir.read_meta(run)
    if not run.requests.exists() and run.parts.exists():  # killed before its record was put together
        record.write_requests(run.requests, sorted(run.parts.glob("*.part")))
    drill = spec.load(run.drill, recorded=True)
    judged = verdict.judge(
        timeline.read(run.path),
        drill.objectives.values(),
        run=meta["run"],
        drill=drill.title,
        trials=meta["trials"],
        settings=settings_of(drill),
    )
    partial = run.verdict.with_suffix(".partial")
    partial.write_bytes(verdict.to_json(judged))
    partial.replace(run.verdict)
    reports.build(run.path)
    return judged


def settings_of(drill: Drill) -> Settings:
    """The thresholds of the measures, with what the drill file says about recovery."""
    recovery = drill.recovery
    return Settings(window_s=recovery.sustain_s, latency_bound_s=recovery.latency_bound_s, prompt_s=recovery.prompt_s)


def steady_measures(drill: Drill, parts: Iterable[Path], seconds: float | None = None) -> dict[str, Any]:
    """What a baseline holds: the steady measures and every evaluation user's own hits and list.

    ``seconds``: how long the clients were watched; None: as long as their requests tell.
    """
    requests = Requests.of(request for part in parts for request in record.read_part(part))
    return baseline_of(requests, settings_of(drill), seconds)
