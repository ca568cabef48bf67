"""Run directories: found by what people type, refused where the disk does not allow them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drills.errors import HostError, UsageError
from drills.recording import rundir


def test_runs_are_found_by_id_beginning_path_and_age(tmp_path: Path) -> None:
    for name in ("20260101-000000-a-1111", "20260102-000000-b-2222"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").write_text("{}")
    assert rundir.find(tmp_path, None).id == "20260102-000000-b-2222"
    assert rundir.find(tmp_path, "20260101").id == "20260101-000000-a-1111"
    assert rundir.find(tmp_path / "elsewhere", str(tmp_path / "20260101-000000-a-1111")).id.endswith("1111")
    with pytest.raises(UsageError, match="beginning of several runs"):
        rundir.find(tmp_path, "2026")
    with pytest.raises(UsageError, match=r"no run nope .* 20260102-000000-b-2222"):
        rundir.find(tmp_path, "nope")


def test_no_runs_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none yet"):
        rundir.find(tmp_path / "runs", None)


def test_a_folder_that_cannot_be_written_names_the_remedy(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(HostError, match="--out"):
        rundir.create(blocked, "drill")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A really full disk needs a mount of its own; the kernel's answer about free space is all that is replaced.
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((*real[:4], 0, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(HostError, match="only 0 MiB are free"):
        rundir.create(tmp_path / "runs", "drill")
    assert list((tmp_path / "runs").iterdir()) == []


def test_meta_holds_wall_time_once_beside_its_monotonic_moment(tmp_path: Path) -> None:
    run = rundir.create(tmp_path, "drill")
    rundir.write_meta(run, {"trials": 1})
    meta = rundir.read_meta(run)
    assert meta["run"] == run.id
    assert meta["started_at"].endswith("+00:00")
    assert meta["t_anchor_ns"] > 0
    with pytest.raises(UsageError, match="not a run directory"):
        rundir.read_meta(rundir.RunDir(tmp_path / "other"))
