"""A run directory read into ``Facts``.

Nothing here fails on a run that failed: what is missing or damaged becomes a sentence in ``Facts.missing``.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import yaml

from drills.measures import Settings
from drills.recording import merging, record
from drills.recording.record import Event
from reports import cleaning, columns, happenings, phases, postmortem, unfinished, verdicts, wording, writes
from reports.columns import Requests
from reports.facts import Activity, Facts, Trial

_T = TypeVar("_T")
_READABLE_SCHEMA = 1
_BASELINE = 0
"""The number under which a baseline's own requests are recorded."""


def read(run_dir: Path) -> Facts:
    """Read what there is of the run. Raises nothing for missing or damaged files."""
    missing: list[str] = []
    meta = _json(run_dir / "meta.json", "versions, host, seeds and the model are not known", missing)
    verdict = _json(run_dir / "verdict.json", "the run was not judged", missing)
    _check_schema(meta, missing)
    events = _events(run_dir / "events.jsonl", missing)
    recorded = _requests(run_dir, missing)
    requests = _no_requests() if recorded is None else recorded
    found = _parquet(run_dir / "readback.parquet", writes.read, "what was lost is not known", missing) or {}
    about = cleaning.mapping(meta.get("drill"))
    drill_yaml, drill = _drill(run_dir / "drill.yaml", about.get("sha256"), missing)
    trials = _trials(_Record(run_dir, verdict, events, requests, found, writes.sent_ids(requests), missing))
    name = verdict.get("drill")
    return Facts(
        run=cleaning.text(verdict.get("run") or meta.get("run") or run_dir.name),
        title=cleaning.text(
            about.get("title") or drill.get("title") or (name if isinstance(name, str) else "") or "Drill"
        ),
        file=cleaning.text(about.get("file") or "drill.yaml"),
        drill_sha256=cleaning.text(about.get("sha256") or hashlib.sha256(drill_yaml.encode()).hexdigest()),
        drill_yaml=drill_yaml,
        outcome=cleaning.outcome(verdict.get("outcome")),
        judged=bool(verdict),
        reasons=[cleaning.text(reason) for reason in cleaning.sequence(verdict.get("reasons"))],
        measures=verdicts.measures(verdict.get("measures")),
        trials=trials,
        faults=happenings.fault_uses(events),
        meta=meta,
        baseline=cleaning.tree(_data(events, "baseline.recorded")),
        deployed=cleaning.tree(_data(events, "target.deployed")),
        service=_service(drill),
        judged_on="median" if verdict.get("judged_on") == "median" else "worst",
        stopped=_stopped(events),
        prompt_s=_prompt_s(drill),
        postmortem=postmortem.load(run_dir),
        missing=missing,
        known=[] if verdict else unfinished.known(run_dir, events, requests, meta),
        has_events=(run_dir / "events.jsonl").is_file(),
        has_requests=recorded is not None,
    )


def _json(path: Path, so: str, missing: list[str]) -> dict[str, Any]:
    """The JSON object in ``path`` with all its strings cleaned; {} and a sentence where there is none."""
    try:
        parsed = json.loads(path.read_bytes())
    except FileNotFoundError:
        missing.append(f"{path.name} is missing: {so}.")
        return {}
    except (OSError, ValueError, RecursionError) as error:
        missing.append(f"{path.name} cannot be read ({cleaning.text(error)}): {so}.")
        return {}
    if not isinstance(parsed, dict):
        missing.append(f"{path.name} does not hold a JSON object: {so}.")
        return {}
    return cleaning.mapping(cleaning.tree(parsed))


def _check_schema(meta: dict[str, Any], missing: list[str]) -> None:
    version = cleaning.number(meta.get("schema_version"))
    if version is not None and version > _READABLE_SCHEMA:
        missing.append(f"The run has schema {version:g}, this recdr reads {_READABLE_SCHEMA}: more may be in it.")


def _parquet(path: Path, reader: Callable[[Path], _T], so: str, missing: list[str]) -> _T | None:
    try:
        return reader(path)
    except FileNotFoundError:
        missing.append(f"{path.name} is missing: {so}.")
    except (OSError, pa.ArrowException, msgspec.MsgspecError, zlib.error, ValueError, LookupError, TypeError) as error:
        missing.append(f"{path.name} cannot be read ({cleaning.text(error)}): {so}.")
    return None


def _requests(run_dir: Path, missing: list[str]) -> Requests | None:
    """The recorded requests; of a run that ended before its record was put together, what its clients wrote so far."""
    gaps: list[str] = []
    found = _parquet(run_dir / "requests.parquet", columns.read, "no request can be shown", gaps)
    parts = sorted((run_dir / "parts").glob("*.part")) if found is None else []
    if parts:
        found = _parquet(
            parts[0].parent, lambda _: columns.of_table(merging.table(map(record.part_frames, parts))), "", []
        )
    if found is not None and parts:
        why = gaps[0].partition(":")[0]
        gaps = [
            f"{why}: the {wording.count(len(found), 'request')} shown here are what the clients had written so far; "
            "what was under way at the end is not among them."
        ]
    missing += gaps
    return found


def _no_requests() -> Requests:
    ints, flags, floats = np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.float64)
    ids = pa.chunked_array([], type=pa.string())
    return Requests(ints, ints, ints, flags, flags, flags, flags, ints, floats, floats, ids, (), ints, flags, ())


def _events(path: Path, missing: list[str]) -> list[Event]:
    """All readable events in time order."""
    if not path.exists():
        missing.append(f"{path.name} is missing: no fault, phase or evidence can be shown.")
        return []
    decoder = msgspec.json.Decoder(Event)
    events, broken = [], 0
    for line in record.lines(path):
        try:
            event = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            broken += 1
            continue
        if 0 <= event.t < 2**62:
            events.append(event)
        else:
            broken += 1
    if _is_torn(path):
        missing.append(f"{path.name} ends in the middle of a line: what came after it is missing.")
    if broken:
        missing.append(f"{broken} line{'s' * (broken > 1)} of {path.name} cannot be read.")
    return sorted(events, key=lambda event: event.t)


def _is_torn(path: Path) -> bool:
    """Whether its last line was not written to its end."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _drill(path: Path, sha256: object, missing: list[str]) -> tuple[str, dict[str, Any]]:
    try:
        raw = path.read_text(encoding="utf-8", errors="replace")
        if sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            missing.append(f"{path.name} is not the file that was run: its SHA-256 is another one than meta.json says.")
    except OSError:
        missing.append(f"{path.name} is missing: what was to be done is not known.")
        return "", {}
    try:
        parsed = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError):
        missing.append(f"{path.name} is not valid YAML.")
        return raw, {}
    return raw, cleaning.mapping(parsed)


def _service(drill: dict[str, Any]) -> dict[str, Any]:
    """How the drill describes a service that is not recdr's own."""
    for extension in map(cleaning.mapping, cleaning.sequence(drill.get("extensions"))):
        if extension.get("name") == "recdr" and extension.get("target") == "external":
            return cleaning.mapping(cleaning.tree(extension.get("service"))) or {"name": "not described"}
    return {}


def _prompt_s(drill: dict[str, Any]) -> float:
    """What the drill says of a prompt answer, else what recdr does."""
    for extension in map(cleaning.mapping, cleaning.sequence(drill.get("extensions"))):
        stated = cleaning.number(cleaning.mapping(extension.get("recovery")).get("prompt_s"))
        if extension.get("name") == "recdr" and stated is not None and stated > 0:
            return stated
    return Settings().prompt_s


def _data(events: list[Event], kind: str) -> dict[str, Any]:
    return next((event.data for event in events if event.kind == kind), {})


def _stopped(events: list[Event]) -> str:
    """One sentence on why the run ended early; empty where it did not."""
    for event in events:
        if event.kind == "interrupted":
            return f"The run was interrupted ({cleaning.text(event.data.get('signal') or 'by a signal')})."
        if event.kind == "abort":
            return f"The run was aborted: {cleaning.text(event.data.get('reason') or 'no reason was recorded')}."
    return ""


@dataclass(frozen=True)
class _Record:
    """What was recorded of the whole run; ``ever_sent`` are the ids of all its events."""

    run_dir: Path
    verdict: dict[str, Any]
    events: list[Event]
    requests: Requests
    found: writes.Found
    ever_sent: set[str]
    missing: list[str]


def _trials(run: _Record) -> list[Trial]:
    """Every trial that was judged or left any trace."""
    judged = {
        trial["trial"]: trial
        for trial in map(cleaning.mapping, cleaning.sequence(run.verdict.get("trials")))
        if isinstance(trial.get("trial"), int)
    }
    traces = {e.trial for e in run.events if e.trial is not None}
    traces |= {int(number) for number in np.unique(run.requests.trial)}
    numbers = sorted({*judged, *traces} - {_BASELINE})
    # With one trial, what its own part of the verdict leaves out is what the run's says.
    shared = run.verdict if len(numbers) == 1 else {}
    return [_trial(number, run, {**shared, **judged.get(number, {})}) for number in numbers]


def _trial(number: int, run: _Record, judged: dict[str, Any]) -> Trial:
    own = [event for event in run.events if event.trial == number]
    mine = run.requests.of_trial(number)
    at = happenings.clock(own, mine)
    measures = verdicts.measures(judged.get("measures"))
    journal = _journal(run.run_dir, number, run.missing)
    return Trial(
        number=number,
        variant=cleaning.text(judged.get("variant") or _data(own, "trial.started").get("variant")),
        outcome=cleaning.outcome(judged.get("outcome")),
        reasons=[cleaning.text(r) for r in cleaning.sequence(judged.get("reasons"))],
        measures=measures,
        clock=at,
        requests=mine,
        marks=happenings.marks(own, at, cleaning.mapping(judged.get("phases"))),
        phases=phases.compare(
            cleaning.mapping(judged.get("phases")), cleaning.mapping(judged.get("modelled")), measures
        ),
        sightings=happenings.sightings(own, at),
        writes=writes.account(mine, run.found.get(number, {}), *_read_back(own), run.ever_sent, injected=at.injected),
        journal=_activities(journal),
        journal_status=cleaning.text(journal.get("status")),
        events=own,
    )


def _read_back(events: list[Event]) -> tuple[set[str], dict[str, str]]:
    done = {cleaning.text(e.data.get("region")) for e in events if e.kind == "readback.done"}
    failed = {
        cleaning.text(e.data.get("region")): cleaning.text(e.data.get("why") or "no reason was recorded")
        for e in events
        if e.kind == "readback.failed"
    }
    return done, failed


def _journal(run_dir: Path, number: int, missing: list[str]) -> dict[str, Any]:
    """Chaos Toolkit's journal of the trial: ``journal.json`` of the first, else ``journal-N.json``."""
    path = run_dir / ("journal.json" if number == 1 else f"journal-{number}.json")
    return _json(path, f"Chaos Toolkit's own account of trial {number} cannot be shown", missing)


def _activities(journal: dict[str, Any]) -> list[Activity]:
    runs = [cleaning.mapping(r) for part in ("run", "rollbacks") for r in cleaning.sequence(journal.get(part))]
    out = []
    for run in runs:
        activity = cleaning.mapping(run.get("activity"))
        out.append(
            Activity(
                name=cleaning.text(activity.get("name")),
                kind=cleaning.text(activity.get("type")),
                status=cleaning.text(run.get("status")),
                seconds=cleaning.number(run.get("duration")),
            )
        )
    return out
