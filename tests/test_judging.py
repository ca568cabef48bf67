"""From a run directory to its verdict: what the drill file says about the service decides what is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drills import judging, spec
from drills.recording import record
from drills.recording.record import EventWriter, RequestWriter
from drills.recording.rundir import RunDir
from tests.measures.literal import quality, reads, usual_events, writes

DRILL = """\
title: It holds
description: What happens
method:
  - {type: action, name: nothing, provider: {type: python, module: drills.faults.noop, func: inject}}
extensions:
  - name: recdr
    target: external
    service:
      name: tinyshop
      edge: http://127.0.0.1:8080/
      read: {path: /recommend, body: {user: "{user}"}, ids: "$.items"}
      users: {count: 60, prefix: user-}
      personal: false
MORE
    objectives:
      rto_read_s: {max: 2}
"""
WRITE = '      write: {path: /events, body: {id: "{id}", item: "{item}"}}\n      items: [1]'
BACK = '      regions: {primary: "http://127.0.0.1:1"}\n      read_back: {path: "/events", ids: "$.ids"}'
REGION = "      region: {header: X-Region}"


def drill(folder: Path, *more: str) -> Path:
    path = folder / "drill.yaml"
    path.write_text(DRILL.replace("MORE", "\n".join(more)))
    return path


@pytest.mark.parametrize(
    ("more", "writes_too", "regions", "names_region"),
    [
        ((), False, (), False),
        ((WRITE,), True, (), False),
        ((WRITE, BACK), True, ("primary", "standby"), False),
        ((REGION,), False, (), True),
    ],
)
def test_a_foreign_service_is_measured_by_what_it_can_show(
    tmp_path: Path, more: tuple[str, ...], writes_too: bool, regions: tuple[str, ...], names_region: bool
) -> None:
    settings = judging.settings_of(spec.load(drill(tmp_path, *more)))
    assert (settings.writes, settings.regions, settings.names_region) == (writes_too, regions, names_region)
    assert not settings.personal


@pytest.mark.parametrize(
    ("read_back", "listed", "repeats"),
    [
        ('{path: "/events", ids: "$.ids"}', True, True),
        ('{path: "/events/{id}"}', False, False),
        ('{path: "/events/{id}", ids: "$.found[*]"}', False, True),
    ],
)
def test_how_it_is_read_back_says_what_can_be_counted(
    tmp_path: Path, read_back: str, listed: bool, repeats: bool
) -> None:
    settings = judging.settings_of(spec.load(drill(tmp_path, WRITE, f"      read_back: {read_back}")))
    assert (settings.logs_listed, settings.shows_repeats) == (listed, repeats)


@pytest.mark.parametrize("expected", [1, None])
def test_the_parts_of_a_run_that_was_killed_are_judged(tmp_path: Path, expected: int | None) -> None:
    """Also long after its file of right answers has gone: whether there were any, the record says."""
    run = RunDir(tmp_path)
    run.parts.mkdir()
    drill(tmp_path, WRITE, REGION)
    run.meta.write_text(json.dumps({"run": run.id, "trials": 1}))
    writer = RequestWriter(run.parts / "1-prober.part")
    for row in (*reads(), *writes(), *quality(lambda s, user: True)):
        if row.stream == "quality":
            row.hits = row.expected = expected
        writer.write(row)
    writer.close()
    events = EventWriter(run.events, 1)
    for told in usual_events():
        events.write(told.kind, t=told.t, **told.data)
    events.close()
    record.write_readback(run.readback, [])
    judged = judging.judge_record(run)
    found = judged.trials[0].measures
    assert found["rto_read_s"].measure.value == 0
    assert ("recall_at_20" in found) == (expected is not None)
    assert "rpo_events" not in found
    assert found["split_brain_events"].measure.value == 0
    assert run.requests.exists()
