"""The record's files: whole lines and whole frames, atomic tables, nothing lost but a torn end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from drills.recording import record, timeline
from drills.recording.record import EventWriter, PartTail, ReadBack, Request, RequestWriter, read_part


def request(n: int, **more: object) -> Request:
    fields = {"trial": 1, "t_scheduled": n, "t_sent": n + 1, "t_done": n + 5, "stream": "load", "op": "recommend"}
    return Request(**(fields | more))  # type: ignore[arg-type]  # literals of a test


MANIFOLD = [
    request(3 * 10**15, status=200, region="primary", node="p1", model_version="m", degraded=True, id="e-1"),
    request(7, status=503, error="http", t_sent=4, t_done=10**15),
    request(9, stream="quality", id="q0", status=200, hits=0, expected=2, items=["b", "a"], degraded=False),
    request(11, stream="quality", id="q1", status=200, hits=1, expected=2, items=["b", "a"]),
    request(12, stream="probe_read", id="ü\u2028", status=200, error="empty", items=[]),
]


def written(path: Path, *rows: Request, frames: int = 1) -> Path:
    writer = RequestWriter(path)
    for n, row in enumerate(rows, 1):
        writer.write(row)
        if n % max(1, len(rows) // frames) == 0:
            writer.flush()
    writer.close()
    return path


def test_a_part_gives_back_what_was_written(tmp_path: Path) -> None:
    assert list(read_part(written(tmp_path / "a.part", *MANIFOLD, frames=2))) == MANIFOLD
    assert list(read_part(tmp_path / "missing.part")) == []


def test_a_frame_never_grows_beyond_its_bound(tmp_path: Path) -> None:
    rows = [request(n) for n in range(2 * record.FRAME_ROWS + 1)]
    part = written(tmp_path / "a.part", *rows)
    assert max(len(frame.ids) for frame in record.part_frames(part)) <= record.FRAME_ROWS
    assert list(read_part(part)) == rows


def test_a_file_cut_off_anywhere_is_read_up_to_its_last_whole_frame(tmp_path: Path) -> None:
    rows = [request(n, id=f"e{n}") for n in range(12)]
    whole = written(tmp_path / "a.part", *rows, frames=4).read_bytes()
    torn, lengths = tmp_path / "torn.part", set()
    for end in range(len(whole) + 1):
        torn.write_bytes(whole[:end])
        found = list(read_part(torn))
        assert found == rows[: len(found)]
        lengths.add(len(found))
    assert lengths == {0, 3, 6, 9, 12}


def test_a_restarted_writer_appends_behind_a_torn_end(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.part", *(request(n) for n in range(4)), frames=2).read_bytes()
    for end in range(len(whole)):
        path = tmp_path / "b.part"
        path.write_bytes(whole[:end])
        before = list(read_part(path))
        written(path, request(70), request(80), frames=2)
        assert list(read_part(path)) == [*before, request(70), request(80)]


def test_damage_in_the_middle_costs_only_its_frame(tmp_path: Path) -> None:
    part = written(tmp_path / "a.part", *(request(n) for n in range(3)), frames=3)
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(content)
    assert list(read_part(part)) == [request(0), request(2)]


def test_a_tail_follows_a_file_that_grows_byte_by_byte(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.part", *MANIFOLD, frames=3).read_bytes()
    tail, growing = PartTail(tmp_path / "b.part"), tmp_path / "b.part"
    assert tail.new_requests() == []
    found = []
    with growing.open("wb", buffering=0) as file:
        for n in range(len(whole)):
            file.write(whole[n : n + 1])
            found += tail.new_requests()
    tail.close()
    assert found == MANIFOLD


WRITER = """
import sys, time
from drills.recording.record import Request, RequestWriter
from pathlib import Path
writer = RequestWriter(Path(sys.argv[1]))
for n in range(10**6):
    now = time.monotonic_ns()
    writer.write(Request(trial=1, t_scheduled=now, t_sent=now, t_done=now, stream="load", op="event", id=str(n)))
    time.sleep(0.001)
"""


def test_what_a_killed_writer_had_flushed_is_there(tmp_path: Path) -> None:
    part = tmp_path / "a.part"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(part)])
    try:
        deadline = time.monotonic() + 20
        while len(list(read_part(part))) < 200 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.kill()
        killed = time.monotonic_ns()
        process.wait()
    found = list(read_part(part))
    assert [r.id for r in found] == [str(n) for n in range(len(found))]
    # Flushed every 0.2 s; the rest is for a machine on which the writer itself hardly ran.
    assert killed - found[-1].t_sent < 3e9
    written(part, request(5))
    assert list(read_part(part)) == [*found, request(5)]


@pytest.mark.parametrize("module", ["drills.recording.record", "drills.watch", "drills.load.prober"])
def test_writers_and_followers_need_no_numpy(module: str) -> None:
    script = f"import sys, {module}; print({{'numpy', 'pyarrow'}} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_parts_become_one_table_in_time_order(tmp_path: Path) -> None:
    for part, times in (("a", (30, 10)), ("b", (20,))):
        written(tmp_path / part, *(request(n, status=200, degraded=False, id=f"e{n}") for n in times))
    table = tmp_path / "requests.parquet"
    record.write_requests(table, [tmp_path / "a", tmp_path / "b", tmp_path / "missing"])
    found = timeline.read_requests(table)
    assert [r.t_scheduled for r in found] == [10, 20, 30]
    assert found.row(0) == request(10, status=200, degraded=False, id="e10")
    assert not list(tmp_path.glob("*.partial"))


def test_the_parts_of_several_workers_are_merged_by_time(tmp_path: Path) -> None:
    parts = [
        written(tmp_path / f"1-load-{who}.part", *(request(n, id=f"{who}-{n}") for n in range(who, 3000, 3)), frames=7)
        for who in range(3)
    ]
    record.write_requests(tmp_path / "t.parquet", parts)
    assert [r.id for r in timeline.read_requests(tmp_path / "t.parquet")] == [f"{n % 3}-{n}" for n in range(3000)]


def test_merging_works_slice_by_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drills.recording.merging.GROUP_ROWS", 2)
    record.write_requests(tmp_path / "t.parquet", [written(tmp_path / "a.part", *MANIFOLD)])
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3
    assert list(timeline.read_requests(tmp_path / "t.parquet")) == sorted(MANIFOLD, key=lambda r: r.t_scheduled)


def test_no_request_at_all_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"")
    record.write_requests(tmp_path / "t.parquet", [tmp_path / "part"])
    assert len(timeline.read_requests(tmp_path / "t.parquet")) == 0
    assert len(timeline.read(tmp_path).requests) == 0


def test_absent_values_stay_absent(tmp_path: Path) -> None:
    record.write_requests(tmp_path / "t.parquet", [written(tmp_path / "part", request(1))])
    (row,) = timeline.read_requests(tmp_path / "t.parquet")
    assert (row.status, row.region, row.degraded, row.hits, row.ok) == (0, None, None, None, False)


def test_an_error_makes_a_2xx_no_success() -> None:
    assert request(1, status=204).ok
    assert not request(1, status=200, error="empty").ok


def test_events_are_sorted_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, trial=1)
    writer.write("later", t=20, kind_of="x")
    writer.write("earlier", t=10)
    writer.close()
    with path.open("ab") as file:
        file.write(b'{"t": 5, "kind": "to')
    assert [(e.t, e.kind, e.trial) for e in record.read_events(path)] == [(10, "earlier", 1), (20, "later", 1)]


def test_a_trial_sees_its_own_and_the_run_wide(tmp_path: Path) -> None:
    EventWriter(tmp_path / "events.jsonl").write("baseline.recorded", t=1)
    EventWriter(tmp_path / "events.jsonl", 1).write("trial.started", t=2)
    EventWriter(tmp_path / "events.jsonl", 2).write("trial.started", t=3)
    record.write_readback(tmp_path / "readback.parquet", [ReadBack(trial=2, region="primary", id="e", count=1)])
    whole = timeline.read(tmp_path)
    assert [e.t for e in whole.of_trial(2).events] == [1, 3]
    assert len(whole.of_trial(2).readback) == 1
    assert len(whole.of_trial(1).readback) == 0
    assert len(whole.requests) == 0
