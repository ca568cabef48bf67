"""From a run directory to its verdict and reports: nothing but the directory is needed, on any machine, at any time."""

from __future__ import annotations

from dataclasses import replace

import reports
from drills import spec, verdict, verdict_document
from drills.measures import Settings, knows_right_answers
from drills.recording import record, rundir, timeline
from drills.recording.rundir import RunDir
from drills.spec import Drill


def judge_run(run: RunDir) -> verdict.Verdict:
    """Judge the run by its record, write ``verdict.json``, and build the reports; raises UsageError for no run."""
    judged = judge_record(run)
    partial = run.verdict.with_suffix(".partial")
    partial.write_bytes(verdict_document.to_json(judged))
    partial.replace(run.verdict)
    reports.build(run.path)
    return judged


def judge_record(run: RunDir) -> verdict.Verdict:
    """The verdict on what was recorded, nothing written but a record not yet put together; UsageError for no run."""
    meta = rundir.read_meta(run)
    if not run.requests.exists() and run.parts.exists():  # killed before its record was put together
        record.write_requests(run.requests, sorted(run.parts.glob("*.part")))
    drill, seen = spec.load(run.drill, recorded=True), timeline.read(run.path)
    settings = settings_of(drill)
    if drill.service is not None:  # the file of right answers need not be there any more: the record says it
        settings = replace(settings, held_out=knows_right_answers(seen))
    return verdict.judge(
        seen,
        drill.objectives.values(),
        run=meta["run"],
        drill=drill.title,
        trials=meta["trials"],
        settings=settings,
        judged_on=drill.judged_on,
    )


def settings_of(drill: Drill) -> Settings:
    """The thresholds of the measures, with what the drill file says about recovery and about the service.

    Of a service that recdr did not deploy only that is measured which it can show; see ``measures.absent``.
    """
    recovery, external = drill.recovery, drill.service
    settings = Settings(
        window_s=recovery.sustain_s, latency_bound_s=recovery.latency_bound_s, prompt_s=recovery.prompt_s
    )
    if external is None:
        return settings
    asked = external.service
    back = asked.read_back if asked.write is not None else None
    return replace(
        settings,
        regions=settings.regions if back is not None else (),
        logs_listed=back is None or not back.by_id,
        shows_repeats=back is None or back.shows_repeats,
        writes=asked.write is not None,
        names_region=asked.region_header is not None or asked.region_json is not None,
        personal=external.personal,
    )
