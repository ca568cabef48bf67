"""Record a baseline: the clients run alone, then each region is asked for its own lists; nothing is broken."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar

from drills.baseline.conditions import conditions_of, key_of, kind_of_host
from drills.baseline.document import SCHEMA_VERSION, Baseline, Steady
from drills.baseline.doors import ask_regions
from drills.baseline.store import now
from drills.errors import TargetError
from drills.judging import settings_of
from drills.load.clients import K
from drills.measures import Settings, baseline_of
from drills.measures.phases import SECOND
from drills.privacy import redacted
from drills.recording import record as recorded
from drills.recording import rundir
from drills.recording.timeline import Requests
from drills.trial import Steadily, Trial, run_baseline

T = TypeVar("T")
LEAST_ANSWERED = 0.95
"""Of a service that answers less with nothing broken, a baseline would hide what a drill breaks."""
SLICES = 5


def record(trial: Trial, *, recorded_in: str, note: str = "") -> Baseline:
    """Run the clients of ``trial`` alone and return what was seen, as a candidate that is not stored yet.

    Raises TargetError where fewer than 95 % of the requests or of the evaluation users were answered.
    """
    while_steady = run_baseline(trial)
    requests = _requests(trial, while_steady)
    settings = settings_of(trial.drill)
    seen: dict[str, Any] = baseline_of(requests, settings, while_steady.seconds)
    gaps = _gaps(trial, requests, {*seen["quality"], *seen["lists"]})
    timeout_s = trial.drill.probes.timeout_s
    deployment = trial.target.deployment
    doors = ask_regions(deployment, trial.audience, K, timeout_s, trial.observer.progress)
    conditions = conditions_of(trial.drill, trial.identity)
    return Baseline(
        schema_version=SCHEMA_VERSION,
        id=trial.run.id,
        key=key_of(conditions),
        drill=trial.drill.path.name,
        recorded_at=now(),
        recorded_in=recorded_in,
        accepted_at=None,
        note=redacted(note),
        conditions=conditions,
        host=kind_of_host(deployment.accelerator),
        versions=rundir.versions(),
        seconds=round(while_steady.seconds, 3),
        measures=_with_spread(seen["measures"], requests, while_steady, settings),
        quality=_in_order(seen["quality"], trial),
        lists=_in_order(seen["lists"], trial),
        regions=doors.regions,
        gaps=[*gaps, *doors.gaps],
    )


def _requests(trial: Trial, steady: Steadily) -> Requests:
    """What was due while all clients were there."""
    rows = (row for part in trial.clients().parts() for row in recorded.read_part(part))
    return Requests.of(row for row in rows if steady.since <= row.t_scheduled < steady.until)


def _gaps(trial: Trial, requests: Requests, answered: set[str]) -> list[str]:
    """What the baseline lacks, as sentences; raises TargetError where that is too much."""
    sent = requests.where(requests.sent)
    failed = Counter(_kind(row.status, row.error) for row in sent.where(~sent.ok))
    why = ", ".join(f"{kind} {count}" for kind, count in failed.most_common(4))
    if not len(sent) or sum(failed.values()) > (1 - LEAST_ANSWERED) * len(sent):
        got = f"{len(sent) - sum(failed.values())} of {len(sent)} requests were answered"
        raise TargetError(_refusal(trial, f"{got}{f' ({why})' if why else ''}"))
    if not trial.clients().rates["quality"]:
        return ["The quality probe is off or has nothing to ask, so there are neither hits nor lists."]
    users = len(trial.audience.evaluation)
    missing = sorted({str(one["id"]) for one in trial.audience.evaluation} - answered)
    if len(missing) > (1 - LEAST_ANSWERED) * users:
        raise TargetError(_refusal(trial, f"{users - len(missing)} of {users} evaluation users were answered ({why})"))
    gaps = (
        [f"{len(missing)} of {users} evaluation users were not answered: {', '.join(missing[:5])}."] if missing else []
    )
    if not any(one["expected"] for one in trial.audience.evaluation):
        gaps.append("Nobody knows what evaluation users should get, so there are lists but no quality.")
    return gaps


def _in_order(found: dict[str, T], trial: Trial) -> dict[str, T]:
    """By evaluation user: the recording may have begun in the middle of a pass."""
    return {str(one["id"]): found[one["id"]] for one in trial.audience.evaluation if one["id"] in found}


def _refusal(trial: Trial, found: str) -> str:
    return (
        f"no baseline could be recorded: with nothing broken only {found}. "
        f"Lower load.rate, or see what is wrong with the service; logs: {trial.run.logs}"
    )


def _kind(status: int, error: str | None) -> str:
    return error if error and error != "http" else f"http {status}"


def _with_spread(
    measures: dict[str, float], requests: Requests, steady: Steadily, settings: Settings
) -> dict[str, Steady]:
    """Each measure with its extremes over equal slices of the recording; recall has none: each user answers once."""
    length = (steady.until - steady.since) // SLICES
    slices: list[dict[str, Any]] = []
    for begin in (steady.since + position * length for position in range(SLICES)):
        within = requests.where((requests.t_scheduled >= begin) & (requests.t_scheduled < begin + length))
        slices.append(baseline_of(within, settings, length / SECOND))
    found = {name: [one["measures"].get(name) for one in slices] for name in measures if not name.startswith("recall")}
    whole = {name: values for name, values in found.items() if None not in values}
    return {
        name: Steady(value, min(whole[name]), max(whole[name])) if name in whole else Steady(value)
        for name, value in measures.items()
    }
