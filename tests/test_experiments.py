"""The shipped drills: right for recdr, Chaos Toolkit and editors, and as strict as they claim to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from drills.faults import FAULTS
from drills.measures import MEASURES
from drills.spec import SCHEMA, Drill, Guard, ProbeRates, Recovery, Settings, load, shipped
from drills.spec.rules import settings

ROOT = Path(__file__).resolve().parent.parent
NAMES = [
    "cascade",
    "disk-full",
    "edge-cut",
    "failover",
    "gpu-loss",
    "gpu-loss-region",
    "gpu-slow",
    "load-surge",
    "model-corrupt",
    "model-stale",
    "network-partition",
    "node-kill",
    "node-pause",
    "node-slow",
    "noop",
    "one-way-partition",
    "replication-stop",
    "slow-link",
    "standby-capacity",
    "store-isolation",
    "store-kill",
    "store-pause",
    "surge-while-partitioned",
]
CHAOS_VALIDATE = ["-m", "chaostoolkit", "--no-version-check", "--no-log-file", "validate"]


def drill(name: str) -> Drill:
    return load(next(path for path in shipped() if path.stem == name))


def test_these_drills_are_shipped_and_only_the_example_of_a_foreign_service_lies_beside_them() -> None:
    assert sorted(path.stem for path in shipped()) == NAMES
    assert [path.name for path in (ROOT / "experiments").iterdir() if path.suffix not in (".yaml", ".md")] == [
        "external"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_chaos_validate_accepts_it(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, *CHAOS_VALIDATE, str(ROOT / "experiments" / f"{name}.yaml")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "experiment syntax and semantic look valid" in done.stdout + done.stderr
    assert "ERROR" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_editor_has_nothing_to_complain_about(name: str) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator(schema).validate(drill(name).experiment)
    path = ROOT / "experiments" / f"{name}.yaml"
    said = path.read_text().partition("\n")[0]
    assert said.startswith("# yaml-language-server: $schema=")
    assert (path.parent / said.partition("=")[2]).resolve() == SCHEMA


@pytest.mark.parametrize("name", NAMES)
def test_it_heals_all_that_it_injects_and_would_under_plain_chaos_run(name: str) -> None:
    found = drill(name)
    steps = [step["provider"] for step in found.experiment["method"]]
    injected, healed = ([step for step in steps if step["func"] == func] for func in ("inject", "heal"))
    assert len(injected) == len(healed) > 0
    assert all({**step, "func": "heal"} in healed for step in injected)
    if name != "noop":
        assert found.experiment["runtime"] == {"rollbacks": {"strategy": "always"}}
        rollbacks = [step["provider"] for step in found.experiment["rollbacks"]]
        assert all(step in rollbacks for step in healed)


def test_every_fault_has_a_drill() -> None:
    external = load(ROOT / "experiments" / "external" / "external.yaml")
    found = [external, *(drill(name) for name in NAMES)]
    assert {use.name for each in found for use in each.faults()} == set(FAULTS)


def test_failover_asks_for_what_the_project_promises() -> None:
    objectives = drill("failover").objectives
    assert objectives["rto_read_s"].max == 1.0
    assert objectives["rto_write_s"].max == 3.0
    assert objectives["rpo_events"].max == 0
    assert objectives["recall_at_20"].min_ratio == 0.98
    assert objectives["p99_ms"].phase == "after"
    assert drill("failover").trials == 1
    assert drill("failover").topology.replication == "semisync"
    assert drill("failover").load.rate == 100


def test_node_kill_allows_no_failed_read() -> None:
    assert drill("node-kill").objectives["failed_reads"].max == 0


def test_the_partition_drill_cuts_two_different_links_in_turn() -> None:
    found = drill("network-partition")
    cuts = {variant.name: found.faults(variant)[0].arguments for variant in found.variants}
    assert cuts == {
        "isolated": {"a": "primary", "b": "edge,standby", "direction": "both"},
        "split": {"a": "primary", "b": "standby", "direction": "both"},
    }
    assert found.trials == 2


def test_noop_announces_that_unknown_is_right() -> None:
    assert "UNKNOWN" in drill("noop").description


def test_the_reference_is_complete_and_its_first_example_is_right(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "drills.md").read_text()
    names = [setting.name for section in (Settings, ProbeRates, Recovery, Guard) for setting in settings(section)]
    missing = [name for name in (*names, *FAULTS, *MEASURES) if name not in text]
    assert missing == []
    example = tmp_path / "example.yaml"
    example.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    assert load(example).faults()[0].name == "region_loss"


def test_a_standby_that_only_knows_what_is_popular_would_fail_the_stale_drill() -> None:
    """Measured on ML-100k: popularity's recall is 0.4 of the model's, its overlap with the model's lists 0.08."""
    found = drill("model-stale")
    steps = found.experiment["method"]
    seconds = [step["pauses"]["after"] for step in steps]
    served = seconds[1] / sum(seconds[:3])  # the share of the phase "during" in which the standby serves everybody
    recall, overlap = found.objectives["recall_at_20"], found.objectives["overlap_at_20"]
    assert recall.min_ratio is not None
    assert overlap.min is not None
    assert 1 - served * (1 - 0.4) < recall.min_ratio
    assert 1 - served * (1 - 0.08) < overlap.min
