"""Which drills a suite runs, which it refuses, and which of them share a lab: all before anything is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from drills import spec, suite
from drills.cli.arguments import complete_tag
from drills.engine import Options
from drills.errors import HostError, UsageError
from drills.spec import Drill
from drills.targets.local import doctor
from drills.targets.local.doctor import gpu_present
from tests.external.services import drill_for


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECDR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def local(path: Path, *, nodes: int = 2, shipped: str = "node-kill.yaml", **settings: Any) -> Path:
    """A copy of a shipped drill with another topology."""
    document = yaml.safe_load(spec.find(shipped).read_text())
    topology = {"primary": {"nodes": nodes}, "standby": {"nodes": 1}, **settings}
    document["extensions"][0]["topology"] = topology
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def external(path: Path, **settings: Any) -> Path:
    document = drill_for(8123, "Shop")
    document["extensions"][0].update(settings)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def names(drills: Any) -> list[str]:
    return [drill.path.name for drill in drills]


def test_every_bad_file_is_named_before_anything_runs(tmp_path: Path, home: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("title: no method\n")
    with pytest.raises(UsageError) as refused:
        suite.choose(["failover.yaml", str(bad), "no-such-drill.yaml"], [])
    assert "bad.yaml" in str(refused.value)
    assert "no-such-drill.yaml" in str(refused.value)
    assert "failover" not in str(refused.value)
    assert not home.exists()


def test_options_that_fit_one_drill_must_fit_all() -> None:
    drills = suite.choose(["failover.yaml", "network-partition.yaml"], [])
    with pytest.raises(UsageError, match="--trials 1: the drill has 2 variants"):
        suite.check(drills, Options(trials=1), skip=True)


def test_what_only_chaos_toolkit_knows_to_be_wrong_is_told_of_each_drill(tmp_path: Path) -> None:
    documents = [drill_for(8123, "Shop") for _ in range(3)]
    for document in documents[::2]:
        document["method"].append(
            {"type": "action", "name": "odd", "provider": {"type": "python", "module": "no.such"}}
        )
    drills = []
    for number, document in enumerate(documents):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        drills.append(spec.load(path))
    with pytest.raises(UsageError) as refused:
        suite.check(drills, Options(), skip=True)
    assert [f"{number}.yaml: Chaos Toolkit refuses it" in str(refused.value) for number in range(3)] == [1, 0, 1]


def test_tags_choose_among_shipped_drills_or_those_that_are_named(tmp_path: Path) -> None:
    chosen = suite.choose([], ["split-brain", "self-test"])
    assert {"network-partition.yaml", "noop.yaml"} <= set(names(chosen))
    assert all({"split-brain", "self-test"} & set(drill.tags) for drill in chosen)
    assert names(suite.choose(["noop", "failover"], ["self-test"])) == ["noop.yaml"]
    assert {"failover", "self-test"} <= set(suite.known_tags())
    with pytest.raises(UsageError, match="Did you mean 'self-test'"):
        suite.choose([], ["selftest"])


@pytest.mark.skipif(gpu_present(), reason="there is a GPU, so nothing is to be skipped")
def test_what_this_machine_cannot_run_is_an_error_when_named_and_else_skipped(tmp_path: Path) -> None:
    wants_gpu = spec.load(local(tmp_path / "gpu.yaml", accelerator="cuda"))
    other = spec.load(external(tmp_path / "other.yaml"))
    with pytest.raises(UsageError, match="shows none") as refused:
        suite.check([wants_gpu, other], Options(), skip=False)
    assert "add --skip-unable" in str(refused.value)
    chosen = suite.check([wants_gpu, other], Options(), skip=True)
    assert names(chosen.drills) == ["other.yaml"]
    assert [(drill.path.name, "NVIDIA GPU" in why) for drill, why in chosen.skipped] == [("gpu.yaml", True)]
    with pytest.raises(HostError, match="none of these drills can run on this machine"):
        suite.check([wants_gpu], Options(), skip=True)


def test_where_no_lab_can_run_drills_of_other_services_still_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drills = [spec.load(local(tmp_path / "lab.yaml")), spec.load(external(tmp_path / "other.yaml"))]
    # No test may take namespaces from the machine that it runs on.
    monkeypatch.setattr(doctor, "namespaces", lambda: doctor.Check("namespaces", False, "EPERM", "allow it"))
    chosen = suite.check(drills, Options(), skip=True)
    assert names(chosen.drills) == ["other.yaml"]
    assert "does not let you make namespaces" in chosen.skipped[0][1]
    with pytest.raises(UsageError, match="does not let you make namespaces"):
        suite.check(drills, Options(), skip=False)


def test_options_about_the_lab_do_not_concern_other_services(tmp_path: Path) -> None:
    options = Options(accelerator="simulated", ephemeral=True, trials=2, seed=3)
    kept = suite.options_of(spec.load(external(tmp_path / "other.yaml")), options)
    assert kept == Options(trials=2, seed=3)
    assert suite.options_of(spec.load(local(tmp_path / "lab.yaml")), options) == options


def test_drills_share_a_lab_if_they_want_the_same_one(tmp_path: Path) -> None:
    def at(name: str, **settings: Any) -> Drill:
        return spec.load(local(tmp_path / name, **settings))

    drills = [
        at("a.yaml"),
        at("big.yaml", nodes=3),
        spec.load(external(tmp_path / "other.yaml")),
        at("gpu.yaml", shipped="gpu-loss.yaml"),
        at("sync.yaml", replication="sync"),
        at("cpu.yaml", accelerator="cpu"),
        at("b.yaml"),
    ]
    found = suite.groups(drills, Options())
    assert [names(group.drills) for group in found] == [
        ["a.yaml", "gpu.yaml", "b.yaml"],
        ["big.yaml"],
        ["other.yaml"],
        ["sync.yaml"],
        ["cpu.yaml"],
    ]
    assert found[0].topology is not None
    assert found[0].topology.accelerator != "cpu", "one of them breaks an accelerator, so there must be one"
    assert found[2].topology is None
    assert not any(group.standing for group in found)
    cpu_only = suite.groups(drills, Options(accelerator="cpu"))
    assert names(cpu_only[0].drills) == ["a.yaml", "gpu.yaml", "cpu.yaml", "b.yaml"]


def test_a_shell_completes_tags_and_a_wrong_drill_does_not_keep_it_from_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete_tag("failo") == ["failover"]
    monkeypatch.setattr(spec, "shipped", lambda: [Path("no-such-drill.yaml")])
    assert complete_tag("failo") == []
