"""The lab that drills share: brought back, replaced once it has died, and left as it was where it stood before."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import pytest

from drills import spec
from drills.engine import Options
from drills.errors import TargetError, UsageError
from drills.recording import rundir
from drills.spec import Region, Topology
from drills.suite.document import LabUse
from drills.suite.grouping import Group, groups
from drills.suite.shared import SharedLab
from drills.targets.local import standing
from drills.targets.local.target import LocalTarget
from recsvc.bundle import Bundle
from tests.processes import commands_with, eventually_empty

pytestmark = pytest.mark.lab
SMALL = Topology(primary=Region(1), standby=Region(1), accelerator="cpu")
DRILL = spec.load(spec.find("noop.yaml"))


def quiet(*_: object) -> None:
    """Nobody watches."""


def test_a_lab_that_died_is_replaced_and_said_to_be(
    namespaces_allowed: None, bundle_path: Path, tmp_path: Path
) -> None:
    labs: list[LabUse] = []
    said: list[str] = []
    shared = SharedLab(Group((DRILL,), SMALL), tmp_path, Bundle.load(bundle_path), 0, labs)
    try:
        first = shared.system(DRILL, quiet)
        run = rundir.create(tmp_path / "runs", "noop")
        shared.used_by(run)
        assert (run.logs / "seed.log").read_text()
        assert shared.system(DRILL, quiet).earlier == (run.id,)
        assert isinstance(first.target, LocalTarget)
        os.kill(int(first.target.deployment.about["pid_one"]), signal.SIGKILL)
        second = shared.system(DRILL, lambda what, *_: said.append(what))
        assert second.earlier == (), "nobody has used this one"
        assert second.target.nodes_of("primary") == ("primary/node-1",)
    finally:
        shared.close()
    assert [lab.lab for lab in labs] == [1, 2]
    assert labs[0].pid_one != labs[1].pid_one
    assert labs[0].gave_up in ("its first process is gone", "the lab is gone")
    assert any(f"a fresh one takes its place: {labs[0].gave_up}" in line for line in said)
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5.0) == []
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_lab_that_is_up_is_used_where_it_fits_and_stays(
    namespaces_allowed: None, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECDR_HOME", str(tmp_path))
    up = LocalTarget(standing.standing_dir(), bundle_path, ephemeral=False)
    up.deploy(SMALL)
    try:
        other = spec.load(spec.find("failover.yaml"))
        planned = groups([DRILL, other], Options(), bundle_path)
        assert [group.standing for group in planned] == [True, False]
        assert not groups([DRILL], Options(ephemeral=True))[0].standing
        labs: list[LabUse] = []
        shared = SharedLab(planned[0], tmp_path / "suite", Bundle.load(bundle_path), 0, labs)
        system = shared.system(DRILL, quiet)
        assert system.target.deployment.about["pid_one"] == up.deployment.about["pid_one"]
        assert labs[0].standing
        with pytest.raises(UsageError, match="another drill is running"), standing.exclusive(up.lab_dir):
            pass
        shared.close()
        with standing.exclusive(up.lab_dir):
            assert up.alive()
    finally:
        up.teardown()


def test_after_two_labs_that_did_not_come_up_nobody_waits_for_a_third(
    namespaces_allowed: None, bundle_path: Path, tmp_path: Path
) -> None:
    nowhere = dataclasses.replace(Bundle.load(bundle_path), path=tmp_path / "no-model")
    shared = SharedLab(Group((DRILL,), SMALL), tmp_path, nowhere, 0, [])
    for _ in range(2):
        with pytest.raises(TargetError) as failed:
            shared.system(DRILL, quiet)
    with pytest.raises(TargetError, match="no lab came up in 2 attempts") as refused:
        shared.system(DRILL, quiet)
    assert str(failed.value) in str(refused.value)
    assert shared.number is None
    shared.close()
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5.0) == []
