"""``recdr drill diff`` on recorded runs: exit codes, refusals, warnings, what is printed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from drills import spec
from tests.command import Ended, recdr

Diff = Callable[..., Ended]
HOST = {"system": "Linux", "machine": "x86_64", "cpus": 2, "memory_gib": 8.0}


def run(home: Path, name: str, values: Sequence[float], *, drill: str = "failover.yaml", **meta: Any) -> Path:
    path = home / "runs" / name
    path.mkdir(parents=True)
    shutil.copyfile(spec.find(drill), path / "drill.yaml")
    facts = {
        "drill": {"title": drill, "file": drill, "sha256": drill},
        "host": HOST,
        "accelerator": "cpu",
        "model": {"version": "model-1"},
        **meta,
    }
    trials = [{"valid": True, "variant": None, "measures": {"rto_read_s": {"value": v, "unit": "s"}}} for v in values]
    top = {"rto_read_s": {"unit": "s", "objective": {"max": 1.0}}}
    (path / "meta.json").write_text(json.dumps(facts))
    (path / "verdict.json").write_text(json.dumps({"trials": trials, "measures": top}))
    return path


@pytest.fixture
def diff(tmp_path: Path) -> Diff:
    return partial(recdr, tmp_path, "drill", "diff")


def test_exit_codes_and_words(tmp_path: Path, diff: Diff) -> None:
    run(tmp_path, "quick", [0.3, 0.31, 0.32, 0.33])
    run(tmp_path, "slow", [0.6, 0.61, 0.62, 0.63])
    run(tmp_path, "once", [0.9])
    worse, better, few = diff("quick", "slow"), diff("slow", "quick"), diff("quick", "once")
    assert (worse.returncode, better.returncode, few.returncode) == (1, 0, 3)
    assert "B is worse than A." in worse.stdout
    assert "regression" in worse.stdout
    assert "B is better than A." in better.stdout
    assert "too few trials (4 and 1): 4 in each are needed" in few.stdout
    document = json.loads(diff("quick", "slow", "--json").stdout)
    assert (document["finding"], document["runs"]) == ("regression", ["quick", "slow"])
    assert document["measures"]["rto_read_s"]["p"] == pytest.approx(2 / 70)


def test_runs_of_other_drills_or_topologies_are_refused_unless_told_otherwise(tmp_path: Path, diff: Diff) -> None:
    run(tmp_path, "a", [1, 2, 3, 4])
    run(tmp_path, "b", [1, 2, 3, 4], drill="noop.yaml")
    bigger = run(tmp_path, "c", [1, 2, 3, 4])
    text = (bigger / "drill.yaml").read_text()
    (bigger / "drill.yaml").write_text(text.replace("standby: {nodes: 2}", "standby: {nodes: 3}"))
    for other, difference in (
        ("b", "different drills: failover.yaml and noop.yaml"),
        ("c", "standby.nodes: 2 in A, 3 in B"),
    ):
        refused = diff("a", other)
        assert refused.returncode == 2
        assert difference in refused.stderr
        assert "--anyway" in refused.stderr
        told = diff("a", other, "--anyway")
        assert told.returncode == 0
        assert f"warning: {difference}" in told.stderr.replace("topology.", "")


def test_another_host_model_or_edition_of_the_drill_is_warned_about(tmp_path: Path, diff: Diff) -> None:
    run(tmp_path, "a", [1, 2, 3, 4])
    other = {"title": "failover.yaml", "file": "failover.yaml", "sha256": "changed"}
    run(tmp_path, "b", [1, 2, 3, 4], host={**HOST, "cpus": 8}, model={"version": "model-2"}, drill=other["file"])
    meta = json.loads((tmp_path / "runs" / "b" / "meta.json").read_text()) | {"drill": other}
    (tmp_path / "runs" / "b" / "meta.json").write_text(json.dumps(meta))
    answer = diff("a", "b", "--json")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["warnings"] == [
        "the drill file was changed in between",
        "identity: model-1 in A, model-2 in B",
        "another kind of host: cpus: 2 in A, 8 in B",
    ]


@pytest.mark.parametrize(
    "broken", ["", "{}", "[]", '{"trials": [1], "measures": {}}', '{"trials": [{}], "measures": 1}']
)
def test_a_run_without_a_whole_verdict_is_refused_with_the_remedy(tmp_path: Path, diff: Diff, broken: str) -> None:
    run(tmp_path, "a", [1, 2, 3, 4])
    (run(tmp_path, "b", [1, 2, 3, 4]) / "verdict.json").write_text(broken)
    refused = diff("a", "b")
    assert refused.returncode == 2
    assert "'recdr drill judge b' makes it anew" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_measure_that_neither_run_has_is_named(tmp_path: Path, diff: Diff) -> None:
    run(tmp_path, "a", [1, 2, 3, 4])
    run(tmp_path, "b", [1, 2, 3, 4])
    refused = diff("a", "b", "--measure", "happiness")
    assert refused.returncode == 2
    assert "--measure happiness: neither run has it; measures: rto_read_s" in refused.stderr
