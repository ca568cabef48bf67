"""From a run directory to its verdict and reports: nothing but the directory is needed, on any machine, at any time."""

from __future__ import annotations

import reports
from drills import record, rundir, spec, timeline, verdict
from drills.measures import Settings
from drills.rundir import RunDir
from drills.spec import Drill


def judge_run(run: RunDir) -> verdict.Verdict:
    """Judge the run by its record, write ``verdict.json``, and build the reports; raises UsageError for no run."""
    judged = judge_record(run)
    partial = run.verdict.with_suffix(".partial")
    partial.write_bytes(verdict.to_json(judged))
    partial.replace(run.verdict)
    reports.build(run.path)
    return judged


def judge_record(run: RunDir) -> verdict.Verdict:
    """The verdict on what was recorded, nothing written but a record not yet put together; UsageError for no run."""
    meta = rundir.read_meta(run)
    if not run.requests.exists() and run.parts.exists():  # killed before its record was put together
        record.write_requests(run.requests, sorted(run.parts.glob("*.part")))
    drill = spec.load(run.drill, recorded=True)
    return verdict.judge(
        timeline.read(run.path),
        drill.objectives.values(),
        run=meta["run"],
        drill=drill.title,
        trials=meta["trials"],
        settings=settings_of(drill),
        judged_on=drill.judged_on,
    )


def settings_of(drill: Drill) -> Settings:
    """The thresholds of the measures, with what the drill file says about recovery."""
    recovery = drill.recovery
    return Settings(window_s=recovery.sustain_s, latency_bound_s=recovery.latency_bound_s, prompt_s=recovery.prompt_s)
