"""The table of runs: whatever lies in the folder, it is listed and never breaks the list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from drills.cli.app import app
from drills.history import Row, history, read


def run(runs: Path, name: str, *, drill: str = "failover.yaml", value: float | None = 0.3, **given: Any) -> Path:
    """A run directory as recdr leaves it."""
    path = runs / name
    path.mkdir(parents=True)
    meta = {
        "run": name,
        "started_at": "2026-11-22T03:01:28.789+00:00",
        "drill": {"title": f"The title of {drill}", "file": drill},
        "trials": 2,
        "seeds": {"run": 7},
    }
    entry = {"value": value, "unit": "s", "censored": False, "objective": {"max": 1.0}, "outcome": "PASS", **given}
    verdict = {
        "outcome": "PASS",
        "baseline": {"id": "base-1", "same_host": True},
        "measures": {"rto_read_s": entry, "p50_ms": {"value": 3.0, "unit": "ms", "objective": None}},
    }
    (path / "meta.json").write_text(json.dumps(meta))
    (path / "verdict.json").write_text(json.dumps(verdict))
    return path


def test_a_run_is_a_row_with_what_its_objectives_ask_for(tmp_path: Path) -> None:
    run(tmp_path, "20261122-030000-failover-aa")
    (row,) = history(tmp_path)
    assert (row.run, row.problem, row.drill, row.outcome) == (
        "20261122-030000-failover-aa",
        None,
        "failover.yaml",
        "PASS",
    )
    assert (row.trials, row.seed, row.baseline, row.same_host) == (2, 7, "base-1", True)
    assert row.measures == {
        "rto_read_s": {
            **{"value": 0.3, "unit": "s", "censored": False, "outcome": "PASS", "trend": None},
            **{"objective": {"max": 1.0}, "baseline": None},
        }
    }


def test_the_latest_comes_first_and_the_trend_is_against_that_drills_run_before(tmp_path: Path) -> None:
    for name, drill, value in (("1", "failover.yaml", 0.3), ("2", "noop.yaml", 9.0), ("3", "failover.yaml", 0.5)):
        run(tmp_path, name, drill=drill, value=value)
    run(tmp_path, "4", value=0.5)
    run(tmp_path, "5", value=0.9, censored=True)
    run(tmp_path, "6", value=2.0)
    run(tmp_path, "7", value=None)
    rows = history(tmp_path, "failover")
    assert [row.run for row in rows] == ["7", "6", "5", "4", "3", "1"]
    trends = [row.measures["rto_read_s"]["trend"] for row in rows]
    assert trends == [None, "better", "worse", "same", "worse", None], "not recovered is worse than any recovery"
    assert [row.measures["rto_read_s"]["trend"] for row in history(tmp_path, "failover", limit=2)] == trends[:2]
    assert [row.run for row in history(tmp_path, limit=3)] == ["7", "6", "5"]


@pytest.mark.parametrize(
    "name", ["failover", "failover.yaml", "/elsewhere/failover.yaml", "The title of failover.yaml"]
)
def test_a_drill_is_named_by_file_stem_or_title(tmp_path: Path, name: str) -> None:
    run(tmp_path, "1")
    run(tmp_path, "2", drill="noop.yaml")
    assert [row.run for row in history(tmp_path, name)] == ["1"]


def test_broken_directories_are_listed_as_such(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "a-file").write_text("no directory")
    run(tmp_path, "torn")
    (tmp_path / "torn" / "meta.json").write_text('{"run": "to')
    run(tmp_path, "running")
    (tmp_path / "running" / "verdict.json").unlink()
    run(tmp_path, "list")
    (tmp_path / "list" / "verdict.json").write_text("[1, 2]")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    problems = {row.run: row.problem or "" for row in history(tmp_path)}
    assert problems.keys() == {"nothing", "torn", "running", "list"}
    assert "meta.json is missing" in problems["nothing"]
    assert "meta.json cannot be read (JSONDecodeError)" in problems["torn"]
    assert "verdict.json is missing: it still runs, or 'recdr drill judge running'" in problems["running"]
    assert "verdict.json is no object" in problems["list"]
    assert history(tmp_path / "none") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["drill", "file", "measures", "seeds", "run", "baseline", "id", "trials", "x", "objective"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(meta=JSON, verdict=JSON)
def test_no_content_of_the_two_files_breaks_the_list(
    tmp_path_factory: pytest.TempPathFactory, meta: Any, verdict: Any
) -> None:
    path = tmp_path_factory.mktemp("run")
    (path / "meta.json").write_text(json.dumps(meta))
    (path / "verdict.json").write_text(json.dumps(verdict))
    row = read(path)
    assert isinstance(row, Row)
    history(path.parent, limit=1)


def shown(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("RECDR_HOME", str(home))
    monkeypatch.setattr("drills.cli.history.OUT.width", 160, raising=False)
    answer = CliRunner().invoke(app, ["history", *arguments], env={"COLUMNS": "160"})
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_table_has_a_column_a_measure_where_all_rows_are_of_one_drill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "runs", "1")
    run(tmp_path / "runs", "2", value=0.5)
    (tmp_path / "runs" / "broken").mkdir()
    whole = shown(tmp_path, monkeypatch)
    heading, columns = whole.split("outcome")[0], whole.splitlines()
    assert "rto_" in heading and "read_" in heading
    assert columns[2].split()[:4] == ["run", "outcome", "n", "s"]
    assert "0.5 s -" in whole
    assert "no verdict" in whole
    document = json.loads(shown(tmp_path, monkeypatch, "failover", "--json"))
    assert [row["run"] for row in document] == ["2", "1"]


def test_several_drills_share_one_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "runs", "1")
    run(tmp_path / "runs", "2", drill="noop.yaml")
    assert "measures (worst)" in shown(tmp_path, monkeypatch).splitlines()[0]
