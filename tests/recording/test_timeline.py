"""The columns of a run give back its rows, whatever is picked of them, also those of older versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drills.recording import timeline
from drills.recording.record import ReadBack
from drills.recording.timeline import ReadBacks, Requests, Timeline
from tests.recording.test_record import MANIFOLD, request


def test_rows_and_columns_are_the_same() -> None:
    columns = Requests.of(MANIFOLD)
    assert list(columns) == MANIFOLD
    assert columns.ok.tolist() == [row.ok for row in MANIFOLD]
    assert columns.region.value(0) == "primary"
    assert columns.region.value(1) is None
    assert columns.stream.counts() == {"load": 2, "probe_read": 1, "quality": 2}


def test_every_way_to_pick_rows() -> None:
    columns = Requests.of(MANIFOLD)
    assert list(columns.where(slice(1, 3))) == MANIFOLD[1:3]
    assert list(columns.where(columns.stream.equals("quality"))) == MANIFOLD[2:4]
    assert list(columns.where(columns.stream.equals("quality", "load"))) == MANIFOLD[:4]
    assert list(columns.where(np.array([4, 0]))) == [MANIFOLD[4], MANIFOLD[0]]
    assert not columns.region.equals("nowhere").any()


def test_a_trial_is_a_view_where_its_rows_stand_together() -> None:
    columns = Requests.of([request(n, trial=n // 3) for n in range(9)])
    second = columns.of_trial(1)
    assert [r.t_scheduled for r in second] == [3, 4, 5]
    assert np.shares_memory(second.t_scheduled, columns.t_scheduled)
    mixed = Requests.of([request(n, trial=n % 2) for n in range(6)])
    assert [r.t_scheduled for r in mixed.of_trial(1)] == [1, 3, 5]
    assert len(mixed.of_trial(7)) == 0


def test_a_run_of_an_older_version_can_be_read(tmp_path: Path) -> None:
    """Version 0.1 had neither lists nor moments of sight; what it lacks is absent, not zero."""
    rows = [request(1, status=200, region="primary", stream="quality", id="q0", hits=1, expected=1), request(2)]
    names = "trial t_scheduled t_sent t_done stream op id status error region node model_version degraded hits expected"
    old = pa.table({name: [getattr(row, name) for row in rows] for name in names.split()})
    pq.write_table(old, tmp_path / "requests.parquet")
    logs = pa.table({"trial": [1], "region": ["primary"], "id": ["e"], "count": [2]})
    pq.write_table(logs, tmp_path / "readback.parquet")
    (tmp_path / "events.jsonl").write_bytes(b"")
    seen = timeline.read(tmp_path)
    assert list(seen.requests) == rows
    assert list(seen.readback) == [ReadBack(trial=1, region="primary", id="e", count=2)]


def test_a_timeline_takes_rows_or_columns() -> None:
    row = ReadBack(trial=1, region="primary", id="e", count=1, t_seen=5)
    by_rows = Timeline(events=[], requests=MANIFOLD, readback=[row])
    by_columns = Timeline(events=[], requests=Requests.of(MANIFOLD), readback=ReadBacks.of([row]))
    assert list(by_rows.requests) == list(by_columns.requests) == MANIFOLD
    assert list(by_rows.readback) == list(by_columns.readback) == [row]
