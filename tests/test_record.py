"""The timeline's files: whole lines, atomic tables, nothing lost but a torn last line."""

from __future__ import annotations

from pathlib import Path

from drills import record, timeline
from drills.record import EventWriter, ReadBack, Request, RequestWriter


def request(n: int, **more: object) -> Request:
    fields = {"trial": 1, "t_scheduled": n, "t_sent": n + 1, "t_done": n + 5, "stream": "load", "op": "recommend"}
    return Request(**(fields | more))  # type: ignore[arg-type]  # literals of a test


def test_parts_become_one_table_in_time_order(tmp_path: Path) -> None:
    for part, times in (("a", (30, 10)), ("b", (20,))):
        writer = RequestWriter(tmp_path / part)
        for n in times:
            writer.write(request(n, status=200, degraded=False, id=f"e{n}"))
        writer.close()
    table = tmp_path / "requests.parquet"
    record.write_requests(table, [tmp_path / "a", tmp_path / "b", tmp_path / "missing"])
    assert [r.t_scheduled for r in timeline.read_requests(table)] == [10, 20, 30]
    assert timeline.read_requests(table).row(0) == request(10, status=200, degraded=False, id="e10")
    assert not list(tmp_path.glob("*.partial"))


def test_absent_values_stay_absent(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"")
    writer = RequestWriter(tmp_path / "part")
    writer.write(request(1))
    writer.close()
    record.write_requests(tmp_path / "t.parquet", [tmp_path / "part"])
    (row,) = timeline.read_requests(tmp_path / "t.parquet")
    assert (row.status, row.region, row.degraded, row.hits, row.ok) == (0, None, None, None, False)


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
