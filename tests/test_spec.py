"""Drill files: what is read from a right one, and where and why each wrong one is refused."""

# ruff: noqa: E501 - a table of mistakes is read one mistake a line
from __future__ import annotations

import dataclasses
import json
import os
import socket
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drills import measures
from drills.errors import SpecError
from drills.faults import FAULTS
from drills.privacy import redacted
from drills.spec import SCHEMA, Drill, FaultUse, Mix, Objective, Variant, find, load, schema, shipped
from drills.spec.model import PHASES
from drills.spec.registries import measures as measure_rules

DRILL = """\
title: It holds
description: What happens
configuration:
  lost: primary
  hold: 15
steady-state-hypothesis:
  title: It serves
  probes:
    - type: probe
      name: serves
      tolerance: true
      provider: {type: python, module: drills.faults.steady, func: serving}
method:
  - type: action
    name: lose
    provider:
      type: python
      module: drills.faults.region_loss
      func: inject
      arguments: {region: primary}
    pauses: {after: 15}
  - type: action
    name: bring-back
    provider: {type: python, module: drills.faults.region_loss, func: heal, arguments: {region: primary}}
    pauses: {after: 10}
extensions:
  - name: recdr
    topology:
      primary: {nodes: 2}
    load: {rate: 100, mix: {recommend: 0.7, search: 0.3}}
    guard: {max_duration_s: 120}
    objectives:
      rto_read_s: {max: 2}
      availability: {min: 0.95}
      recall_at_20: {min_ratio: 0.98}
"""
METHOD = DRILL[DRILL.index("method:") : DRILL.index("extensions:")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "drill.yaml"


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def edited(old: str, new: str) -> str:
    assert DRILL.count(old) == 1, f"{old!r} stands {DRILL.count(old)} times in the drill"
    return DRILL.replace(old, new)


def refusal(file: Path, text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(written(file, text))
    assert str(caught.value).startswith(str(file))
    return caught.value


def test_a_drill_is_read_with_its_defaults(file: Path) -> None:
    drill = load(written(file, DRILL))
    assert (drill.title, drill.description, drill.path) == ("It holds", "What happens", file)
    assert (drill.topology.primary.nodes, drill.topology.standby.nodes) == (2, 2)
    assert (drill.topology.replication, drill.topology.accelerator) == ("semisync", None)
    assert (drill.load.rate, drill.load.users, drill.load.mix) == (100, 30, Mix(0.7, 0.3, 0))
    assert dataclasses.astuple(drill.probes) == (50, 50, 20, 200, 2)
    assert dataclasses.astuple(drill.recovery) == (2, 1, 0.4)
    assert (drill.trials, drill.seed, drill.settle_s, drill.tail_s) == (1, None, 5, 5)
    assert (drill.guard.max_duration_s, drill.guard.abort_if) == (120, None)
    assert drill.objectives["rto_read_s"] == Objective("rto_read_s", max=2.0)
    assert drill.objectives["recall_at_20"] == Objective("recall_at_20", min_ratio=0.98, phase="post_fault")
    assert drill.faults() == [FaultUse("region_loss", {"region": "primary"}, 14)]
    assert drill.variants == ()
    assert drill.experiment == yaml.safe_load(DRILL)


def test_an_objective_has_the_fields_that_verdicts_rely_on() -> None:
    names = [field.name for field in dataclasses.fields(Objective)]
    assert names == ["measure", "min", "max", "min_ratio", "max_ratio", "phase"]


def test_phases_are_those_of_the_measures() -> None:
    assert PHASES == measures.PHASES


EVERYTHING = """\
    topology: {standby: {nodes: 3}, replication: sync, accelerator: cpu}
    probes: {reads_per_s: 10, writes_per_s: 5.5, quality_per_s: 1, evaluation_users: 50, timeout_s: 0.5}
    recovery: {sustain_s: 1, latency_bound_s: 0.3, prompt_s: 0.1}
    trials: 4
    seed: 7
    settle_s: 2
    tail_s: 0
    guard: {max_duration_s: 60, abort_if: {availability_below: 0.2, for_s: 40}}
    variants:
      - {name: one, configuration: {lost: standby}}
      - {name: other, configuration: {lost: primary}}
"""


def with_variants(region: str = '"${lost}"') -> str:
    text = DRILL[: DRILL.index("    topology:")] + EVERYTHING + DRILL[DRILL.index("    objectives:") :]
    return text.replace("region: primary}", f"region: {region}}}")


def test_every_setting_is_read(file: Path) -> None:
    drill = load(written(file, with_variants()))
    assert (drill.topology.standby.nodes, drill.topology.replication, drill.topology.accelerator) == (
        3,
        "sync",
        "cpu",
    )
    assert dataclasses.astuple(drill.probes) == (10, 5.5, 1, 50, 0.5)
    assert dataclasses.astuple(drill.recovery) == (1, 0.3, 0.1)
    assert (drill.trials, drill.seed, drill.settle_s, drill.tail_s) == (4, 7, 2, 0)
    assert dataclasses.asdict(drill.guard) == {
        "max_duration_s": 60,
        "abort_if": {"availability_below": 0.2, "for_s": 40},
        "lease_s": 15.0,
    }


def test_variants_take_turns_and_change_the_configuration_of_their_trials_only(file: Path) -> None:
    drill = load(written(file, with_variants()))
    one, other = drill.variants
    assert [drill.variant_of(trial) for trial in (1, 2, 3, 4)] == [one, other, one, other]
    assert drill.experiment_of(1)["configuration"] == {"lost": "standby", "hold": 15}
    assert drill.experiment_of(2)["configuration"] == {"lost": "primary", "hold": 15}
    assert drill.experiment["configuration"] == {"lost": "primary", "hold": 15}
    assert [use.arguments for use in drill.faults(one)] == [{"region": "standby"}]
    assert [use.arguments for use in drill.faults()] == [{"region": "primary"}]


def test_without_trials_each_variant_runs_once(file: Path) -> None:
    drill = load(written(file, with_variants().replace("    trials: 4\n", "")))
    assert drill.trials == 2
    assert drill.variants[0] == Variant("one", {"lost": "standby"})


def test_an_inject_without_a_heal_is_allowed(file: Path) -> None:
    heal = METHOD[METHOD.index("  - type: action\n    name: bring-back") :]
    assert [use.name for use in load(written(file, edited(heal, ""))).faults()] == ["region_loss"]


def test_actions_of_other_providers_mix_in_freely(file: Path) -> None:
    others = """\
method:
  - {type: action, name: scale, provider: {type: python, module: chaosk8s.deployment.actions, func: scale_deployment,
     arguments: {name: web, replicas: 0}}}
  - {type: probe, name: look, provider: {type: http, url: "http://127.0.0.1:1/"}}
  - {type: action, name: cut, provider: {type: process, path: "true", arguments: {"-x": 1}}, background: true}
  - {ref: scale}
"""
    assert load(written(file, edited(METHOD, others))).faults() == []


def test_an_activity_can_refer_to_a_fault_by_name(file: Path) -> None:
    drill = load(written(file, edited("    pauses: {after: 10}\n", "    pauses: {after: 10}\n  - ref: lose\n")))
    assert [use.line for use in drill.faults()] == [14, 26]


def test_anchors_and_merge_keys_are_read_as_yaml_means_them(file: Path) -> None:
    text = edited(
        "topology:\n      primary: {nodes: 2}",
        "topology:\n      primary: &size {nodes: 3}\n      standby: *size",
    )
    text = text.replace(
        "provider: {type: python, module: drills.faults.region_loss, func: heal,",
        "provider: {<<: *loss, func: heal,",
    ).replace("    provider:\n      type", "    provider: &loss\n      type")
    drill = load(written(file, text))
    assert drill.topology.primary == drill.topology.standby
    assert drill.experiment == yaml.safe_load(text)
    assert drill.experiment["method"][1]["provider"]["func"] == "heal"


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "drill.json"
    path.write_text(json.dumps(yaml.safe_load(DRILL), indent=1))
    assert load(path).objectives == load(written(tmp_path / "drill.yaml", DRILL)).objectives


def test_a_value_from_the_environment_is_checked_when_it_is_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = with_variants().replace("  lost: primary\n", "  lost: {type: env, key: LOST_REGION}\n")
    monkeypatch.delenv("LOST_REGION", raising=False)
    assert load(written(file, text)).faults()[0].arguments == {"region": "${lost}"}
    monkeypatch.setenv("LOST_REGION", "standby")
    assert load(file).faults()[0].arguments == {"region": "standby"}
    monkeypatch.setenv("LOST_REGION", "standbye")
    error = refusal(file, text)
    assert error.key == "method[0].provider.arguments.region"
    assert "'standbye' in this drill (from the configuration). Did you mean 'standby'?" in str(error)


def test_a_secret_may_be_an_argument(file: Path) -> None:
    text = with_variants('"${region}"') + "secrets: {vault: {region: {type: env, key: NOT_SET}}}\n"
    assert load(written(file, text)).faults()[0].arguments == {"region": "${region}"}


OBJECTIVE = "rto_read_s: {max: 2}"
ARGUMENTS = "      arguments: {region: primary}\n"
WRONG: list[tuple[str, str, str | None, str]] = [
    # old text, new text ("§" marks the line of the mistake), key, part of the message
    # unknown keys
    ("    load: {rate", "    laod: {§rate", "recdr.laod", "Did you mean 'load'?"),
    ("{rate: 100,", "{rat: 100,§", "recdr.load.rat", "Did you mean 'rate'?"),
    ("{recommend: 0.7", "{recomend: 0.7§", "recdr.load.mix.recomend", "Did you mean 'recommend'?"),
    ("primary: {nodes: 2}", "primry: {nodes: 2}§", "recdr.topology.primry", "Did you mean 'primary'?"),
    ("primary: {nodes: 2}", "primary: {node: 2}§", "recdr.topology.primary.node", "Did you mean 'nodes'?"),
    ("{max_duration_s: 120}", "{max_duration: 120}§", "recdr.guard.max_duration", "Did you mean 'max_duration_s'?"),
    ("{rate: 100,", "{zzz: 1, rate: 100,§", "recdr.load.zzz", "Known: rate, users, workers, mix."),
    (OBJECTIVE, "rto_read_s: {maximum: 2}§", "recdr.objectives.rto_read_s.maximum", "Did you mean 'max'?"),
    (OBJECTIVE, "rto_read: {max: 2}§", "recdr.objectives.rto_read", "Did you mean 'rto_read_s'?"),
    (OBJECTIVE, "rto: {max: 2}§", "recdr.objectives.rto", "'rto_read_s' or 'rto_write_s'"),
    (OBJECTIVE, "recall_at_10: {min: 0.2}§", "recdr.objectives.recall_at_10", "Did you mean 'recall_at_20'?"),
    (OBJECTIVE, "happiness: {min: 1}§", "recdr.objectives.happiness", "nobody measures this. Measures: rto_read_s,"),
    ("extensions:", "extension:§", "extension", "Did you mean 'extensions'?"),
    ("steady-state-hypothesis:", "steady_state_hypothesis:§", "steady_state_hypothesis", "'steady-state-hypothesis'"),
    ("    pauses: {after: 15}", "    pause: {after: 15}§", "method[0].pause", "Did you mean 'pauses'?"),
    ("    pauses: {after: 15}", "    pauses: {afer: 15}§", "method[0].pauses.afer", "Did you mean 'after'?"),
    (ARGUMENTS, "      argument: {region: primary}§\n", "method[0].provider.argument", "Did you mean 'arguments'?"),
    # wrong types and units
    (OBJECTIVE, "rto_read_s: {max: 2s}§", "recdr.objectives.rto_read_s.max", "plain number of seconds is expected, not the text '2s'. Write 2:"),
    (OBJECTIVE, 'rto_read_s: {max: "200 ms"}§', "recdr.objectives.rto_read_s.max", "Write 0.2:"),
    (OBJECTIVE, "p99_ms: {max: 0.1s}§", "recdr.objectives.p99_ms.max", "Write 100:"),
    (OBJECTIVE, "rto_read_s: {max: fast}§", "recdr.objectives.rto_read_s.max", "not the text 'fast'"),
    (OBJECTIVE, "rto_read_s: {max: 1e1}§", "recdr.objectives.rto_read_s.max", "Write 10, without quotes"),
    (OBJECTIVE, "rto_read_s: {max: 1:30}§", "recdr.objectives.rto_read_s.max", "YAML 1.1 reads 1:30 as 90"),
    (OBJECTIVE, "rto_read_s: {max: 010}§", "recdr.objectives.rto_read_s.max", "YAML 1.1 reads 010 as 8"),
    (OBJECTIVE, "rto_read_s: {max: yes}§", "recdr.objectives.rto_read_s.max", "not true"),
    (OBJECTIVE, "rto_read_s: {max: }§", "recdr.objectives.rto_read_s.max", "not nothing"),
    (OBJECTIVE, "rto_read_s: {max: [2]}§", "recdr.objectives.rto_read_s.max", "not a list"),
    (OBJECTIVE, "rto_read_s: {max: .nan}§", None, ".nan is not a finite number"),
    (OBJECTIVE, "rto_read_s: {max: -.inf}§", None, "-.inf is not a finite number"),
    (OBJECTIVE, "rto_read_s: {max: 1.0e+999}§", None, "is not a finite number"),
    (OBJECTIVE, f"rto_read_s: {{max: {'9' * 5000}}}§", None, "is not a valid int"),
    (OBJECTIVE, f"rto_read_s: {{max: {'9' * 500}}}§", None, "too large"),
    (OBJECTIVE, "rto_read_s: 2§", "recdr.objectives.rto_read_s", "Write {max: 2}."),
    (OBJECTIVE, "rto_read_s: fast§", "recdr.objectives.rto_read_s", "a mapping of keys to values is expected"),
    (OBJECTIVE, "rto_read_s: {max: 1000}§", "recdr.objectives.rto_read_s.max", "If milliseconds were meant, write 1."),
    (OBJECTIVE, "rpo_events: {max: 0.5}§", "recdr.objectives.rpo_events.max", "a whole number of events is expected"),
    ("availability: {min: 0.95}", "availability: {min: 99.9}§", "recdr.objectives.availability.min", "Write 0.999:"),
    ("availability: {min: 0.95}", "availability: {min: 99.9%}§", "recdr.objectives.availability.min", "Write 0.999:"),
    ("{min_ratio: 0.98}", "{min_ratio: 98}§", "recdr.objectives.recall_at_20.min_ratio", "Write 0.98:"),
    ("{rate: 100,", "{rate: -1,§", "recdr.load.rate", "-1 is below 0 requests a second"),
    ("{rate: 100,", "{rate: 100/s,§", "recdr.load.rate", "a plain number of requests a second"),
    ("{rate: 100,", "{rate: 100, users: 1.5,§", "recdr.load.users", "a whole number"),
    ("{rate: 100,", "{rate: 100, users: 0,§", "recdr.load.users", "below 1"),
    ("primary: {nodes: 2}", "primary: {nodes: 0}§", "recdr.topology.primary.nodes", "0 is below 1 nodes"),
    ("primary: {nodes: 2}", "primary: {nodes: 1000}§", "recdr.topology.primary.nodes", "more than 16 nodes"),
    ("primary: {nodes: 2}", "primary: 2§", "recdr.topology.primary", "a mapping of keys to values is expected"),
    ("primary: {nodes: 2}", "replication: semi-sync§", "recdr.topology.replication", "Did you mean 'semisync'?"),
    ("primary: {nodes: 2}", "accelerator: gpu§", "recdr.topology.accelerator", "Known: auto, cpu, cuda, simulated."),
    ("primary: {nodes: 2}", "accelerator: yes§", "recdr.topology.accelerator", "true is not one of the choices"),
    ("    load: {", "    probes: {timeout_s: 0}§\n    load: {", "recdr.probes.timeout_s", "not above 0 seconds"),
    ("    load: {", "    seed: -1§\n    load: {", "recdr.seed", "-1 is below 0"),
    ("    load: {", "    trials: 0§\n    load: {", "recdr.trials", "0 is below 1"),
    ("    load: {", "    settle_s: 5s§\n    load: {", "recdr.settle_s", "Write 5:"),
    ("{max_duration_s: 120}", "{abort_if: {for_s: 3}}§", "recdr.guard.abort_if", "'availability_below' is missing"),
    ("{max_duration_s: 120}", "{abort_if: {for_s: 3, availability_below: 20}}§", "recdr.guard.abort_if.availability_below", "Write 0.2:"),
    # impossible objectives and settings
    (OBJECTIVE, "rto_read_s: {max: 1, min: 2}§", "recdr.objectives.rto_read_s.min", "no value is at least 2 and at most 1"),
    (OBJECTIVE, "rto_read_s: {max: -1}§", "recdr.objectives.rto_read_s.max", "-1 is below 0 seconds"),
    (OBJECTIVE, "rto_read_s: {min: 1}§", "recdr.objectives.rto_read_s.min", "lower is better for rto_read_s"),
    (OBJECTIVE, "rto_read_s: {}§", "recdr.objectives.rto_read_s", "bounds nothing. Give min or max."),
    (OBJECTIVE, "rto_read_s: {max: 1, phase: after}§", "recdr.objectives.rto_read_s.phase", "has no phases"),
    (OBJECTIVE, "rto_read_s: {max_ratio: 2}§", "recdr.objectives.rto_read_s.max_ratio", "has no baseline"),
    (OBJECTIVE, "p99_ms: {phase: after}§", "recdr.objectives.p99_ms", "bounds nothing. Give min or max or"),
    (OBJECTIVE, "p99_ms: {max: 9, phase: afterwards}§", "recdr.objectives.p99_ms.phase", "Known: before, during, after, post_fault."),
    ("{min_ratio: 0.98}", "{min: 1.2}§", "recdr.objectives.recall_at_20.min", "not a share of 1"),
    ("{min_ratio: 0.98}", "{max: 0.5}§", "recdr.objectives.recall_at_20.max", "higher is better for recall_at_20"),
    ("{min_ratio: 0.98}", "{min_ratio: 0}§", "recdr.objectives.recall_at_20.min_ratio", "not above 0"),
    ("{recommend: 0.7", "{recommend: 0.8§", "recdr.load.mix", "the shares sum to 1.1, not to 1"),
    ("{recommend: 0.7", "{recommend: 70§", "recdr.load.mix.recommend", "Write 0.7:"),
    ("    load: {", "    probes: {reads_per_s: 0}\n    load: {", "recdr.objectives.rto_read_s", "Set probes.reads_per_s"),
    ("{max_duration_s: 120}", "{max_duration_s: 30}§", "recdr.guard.max_duration_s", "take 35 seconds"),
    ("{max_duration_s: 120}", "{abort_if: {availability_below: 0.1, for_s: 300}}§", "recdr.guard.abort_if.for_s", "never abort"),
    # the shape of the experiment
    ("title: It holds\n", "", None, "'title' is missing"),
    ("title: It holds", "title: 7§", "title", "the title is text, not the number 7"),
    ("title: It holds", "title: ' '§", "title", "the title is empty"),
    ("title: It holds", "title: It holds\ntags: failover§", "tags", "a list is expected here"),
    ("title: It holds", "title: It holds\ntags: [1]§", "tags[0]", "a tag is text, not the number 1"),
    ("title: It holds", "title: It holds\ndry: activities§", "dry", "would run everything for real"),
    ("    name: lose", "    name: lose\n    dry: actions§", "method[0].dry", "would run the activity for real"),
    (METHOD, "", None, "'method' is missing"),
    (METHOD, "method: []§\n", "method", "the method is empty"),
    (METHOD, "method:§\n", "method", "a list is expected here, not nothing"),
    (METHOD, "method: [lose]§\n", "method[0]", "not the text 'lose'"),
    (METHOD, "method: [{ref: serves}]§\n", "method", "breaks nothing"),
    (METHOD, "method: [{ref: serve}]§\n", "method[0].ref", "Did you mean 'serves'?"),
    ("  title: It serves\n", "", "steady-state-hypothesis", "'title' is missing"),
    ("    name: lose\n", "", "method[0]", "'name' is missing"),
    ("  - type: action\n    name: lose", "  - type: akshun§\n    name: lose", "method[0].type", "Known: action, probe."),
    (ARGUMENTS, ARGUMENTS + "    background: 1§\n", "method[0].background", "true or false"),
    ("    pauses: {after: 15}", "    pauses: {after: 15s}§", "method[0].pauses.after", "number of seconds"),
    ("    pauses: {after: 15}", "    pauses: {after: -1}§", "method[0].pauses.after", "cannot last -1 seconds"),
    ("    pauses: {after: 15}", '    pauses: {after: "${hald}"}§', "method[0].pauses.after", "Did you mean 'hold'?"),
    ("  - name: recdr\n", "  - name: recrd§\n", "extensions[0].name", "Is 'recrd' a misspelling?"),
    ("  - name: recdr\n", "  - nam: recdr§\n", "extensions[0]", "'name' is missing"),
    ("  - name: recdr\n", "  - {name: recdr, objectives: {}}\n  - name: recdr§\n", "recdr", "two recdr extensions"),
    ("    objectives:\n", "    objectives: {}\nx:\n", "recdr.objectives", "nothing to judge"),
    # faults
    ("  hold: 15", "  hold: 15\n  lost: x§", "configuration.lost", "line 4 too"),
    ("      module: drills.faults.region_loss", "      module: drills.faults.region_los§", "method[0].provider.module", "Did you mean 'region_loss'?"),
    ("      module: drills.faults.region_loss", "      module: drills.faults§", "method[0].provider.module", "Known: region_loss"),
    ("      func: inject", "      func: injekt§", "method[0].provider.func", "Did you mean 'inject'?"),
    (ARGUMENTS, "", "method[0].provider.arguments", "'region' is missing. It takes region (such as primary)."),
    (ARGUMENTS, "      arguments: {regoin: primary}§\n", "method[0].provider.arguments.regoin", "Did you mean 'region'?"),
    (ARGUMENTS, "      arguments: {region: primray}§\n", "method[0].provider.arguments.region", "Did you mean 'primary'?"),
    (ARGUMENTS, "      arguments: {region: 1}§\n", "method[0].provider.arguments.region", "text is expected, not the number 1"),
    (ARGUMENTS, '      arguments: {region: "${lots}"}§\n', "method[0].provider.arguments.region", "Did you mean 'lost'?"),
    (ARGUMENTS, '      arguments: {region: "${hold}"}§\n', "method[0].provider.arguments.region", "the number 15 (from the"),
    (ARGUMENTS, ARGUMENTS + "    background: true§\n", "method[0].background", "never looks at the result"),
    (ARGUMENTS, ARGUMENTS + "    timeout: 3§\n", "method[0].timeout", "ignores 'timeout' for Python actions"),
    ("  - type: action\n    name: lose", "  - type: probe§\n    name: lose", "method[0].type", "must be an action"),
    ("func: heal, arguments: {region: primary}", "func: heal, arguments: {region: standby}§", "method[1].provider.arguments", "heals region_loss(region=standby), which was not injected before. Injected: region_loss(region=primary)."),
    ("func: serving", "func: inject, module: x§", "steady-state-hypothesis.probes[0].provider.module", "twice"),
    ("module: drills.faults.steady, func: serving", "module: drills.faults.noop, func: inject§", "steady-state-hypothesis.probes[0].provider", "must not break anything"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "key", "said"), [pytest.param(*w, id=f"{i}-{w[2]}") for i, w in enumerate(WRONG)]
)
def test_a_mistake_is_refused_with_its_line_key_and_remedy(
    file: Path, old: str, new: str, key: str | None, said: str
) -> None:
    text = edited(old, new)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if "§" in line]
    error = refusal(file, text.replace("§", ""))
    assert said in str(error)
    if key is not None:
        assert error.key is not None
        assert error.key == key
    if lines:
        assert error.line == lines[0]


FAULT = """\
method:
  - type: action
    name: break
    provider: {type: python, module: drills.faults.%s, func: inject, arguments: {%s}}
"""


@pytest.mark.parametrize(
    ("fault", "arguments", "said"),
    [
        (
            "node_kill",
            "node: primary/node-3",
            "no node 'primary/node-3' in this drill. Did you mean 'primary/node-2'",
        ),
        ("node_kill", "node: primary/node-1, signal: KIL", "Did you mean 'KILL'?"),
        ("node_kill", "", "'node' or 'region' is missing. It takes node (such as primary/node-1), or region"),
        ("node_kill", "node: primary/node-1, region: primary", "arguments.region: 'node' and 'region' cannot both be"),
        ("node_kill", "node: primary/node-1, count: 2", "arguments.count: 'count' is only for a region's nodes"),
        ("node_kill", "region: standby, count: 3", "arguments.count: 3 of the 2 nodes of standby is not possible."),
        ("node_kill", "node: primary/node-1, restart_after_s: 1", "nobody restarts the node. Add restart: true"),
        ("node_kill", "node: primary/node-1, restart: yes please", "true or false is expected, not the text"),
        ("node_pause", "region: primary, count: 0", "arguments.count: 0 of the 2 nodes of primary is not possible."),
        ("node_slow", "node: primary/node-1, share: 0.5", "arguments.share: 0.5 is not above 0 and at most 0.1."),
        ("node_slow", "", "'node' is missing. It takes node (such as primary/node-1), share"),
        ("store_pause", "region: primry", "there is no region 'primry' in this drill. Did you mean 'primary'?"),
        ("replication_stop", "region: primary", "this fault takes no arguments"),
        ("gpu_loss", "node: standby/node-1, layer: real", "Known: auto, context, process, hidden, simulated."),
        (
            "partition",
            "a: primary, b: 'edge, stanby'",
            "no place 'stanby' in this drill. Did you mean 'standby'?",
        ),
        (
            "partition",
            "a: primary, b: [edge, standby]",
            "text is expected, not a list. Write 'edge,standby'.",
        ),
        ("partition", "a: primary, b: primary/node-1", "one is part of the other"),
        ("partition", "a: edge, b: 'standby,edge'", "Sides a and b must not overlap."),
        ("noop", "region: primary", "this fault takes no arguments"),
    ],
)
def test_arguments_are_held_against_the_fault_and_the_topology(
    file: Path, fault: str, arguments: str, said: str
) -> None:
    assert said in str(refusal(file, edited(METHOD, FAULT % (fault, arguments))))


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [
        ("node_kill", {"node": "standby/node-2", "signal": "TERM"}),
        ("node_pause", {"region": "standby"}),
        ("gpu_loss", {"node": "primary/node-1", "layer": "simulated"}),
        ("partition", {"a": "primary/node-1", "b": "primary/store,standby", "direction": "both"}),
        ("noop", {}),
    ],
)
def test_right_arguments_are_kept(file: Path, fault: str, arguments: dict[str, str]) -> None:
    inline = ", ".join(f'{name}: "{value}"' for name, value in arguments.items())
    defaults = {f.name: f.default for f in dataclasses.fields(FAULTS[fault]) if f.default is not dataclasses.MISSING}
    kept = FaultUse(fault, {**defaults, **arguments}, 14)
    assert load(written(file, edited(METHOD, FAULT % (fault, inline)))).faults() == [kept]


def test_rollbacks_may_heal_what_the_method_injects_and_nothing_else(file: Path) -> None:
    rollback = "rollbacks:\n" + FAULT.partition("\n")[2]
    heal = (rollback % ("region_loss", "region: primary")).replace("inject", "heal")
    assert load(written(file, DRILL + heal)).faults()[0].name == "region_loss"
    assert "must not inject" in str(refusal(file, DRILL + heal.replace("heal", "inject")))
    error = refusal(file, DRILL + heal.replace("primary", "standby"))
    assert error.key == "rollbacks[0].provider.arguments"


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("lost: standby}", "lsot: standby}", "recdr.variants[0].configuration.lsot", "Did you mean 'lost'?"),
        ("lost: standby}", "lost: edge}", "method[0].provider.arguments.region", "no region 'edge'"),
        ("name: other", "name: one", "recdr.variants[1].name", "two variants are called 'one'"),
        ("name: other, ", "", "recdr.variants[1]", "'name' is missing"),
        ("trials: 4", "trials: 1", "recdr.trials", "2 variants need as many trials"),
    ],
)
def test_variants_are_checked_one_by_one(file: Path, old: str, new: str, key: str, said: str) -> None:
    text = with_variants()
    assert text.count(old) == 1
    error = refusal(file, text.replace(old, new))
    assert (error.key, said in str(error)) == (key, True)


def test_a_plain_chaos_toolkit_experiment_is_told_what_it_lacks(file: Path) -> None:
    error = refusal(file, DRILL[: DRILL.index("extensions:")])
    assert "it has no recdr extension" in str(error)


@pytest.mark.parametrize(
    ("raw", "line", "said"),
    [
        (b"", None, "is empty"),
        (b" \n\n", None, "is empty"),
        (b"# nothing\n", None, "nothing but comments"),
        (b"- a\n- b\n", 1, "a drill is a mapping"),
        (b"just text", 1, "a drill is a mapping"),
        (b"title: a\n\tx: b\n", 2, "spaces, never with tabs"),
        (b"title: a\nmethod: [\n", 3, "not valid YAML"),
        (b"title: a: b\n", 1, "quote a text that contains ': '"),
        (b"title: a\n---\ntitle: b\n", 2, "not valid YAML: but found another document"),
        (b"title: a\ntitle: b\n", 2, "written twice. It stands on line 1 too"),
        (b"title: a\nyes: b\n", 2, "yes is not text"),
        (b"title: a\n1: b\n", 2, "1 is not text"),
        (b"title: a\n? [x]\n: b\n", 2, "a list or mapping is not text"),
        (b"title: a\nx: !!python/object:os.system {}\n", 2, "has no meaning in a drill"),
        (b"title: a\nx: !ENV y\n", 2, "could not determine a constructor"),
        (b"title: a\nx: !!int y\n", 2, "'y' is not a valid int"),
        (b"title: a\nx: 2026-13-45\n", 2, "is not a valid timestamp"),
        (b"title: a\nx: *y\n", 2, "found undefined alias"),
        (b"title: a\nx: &y [*y]\n", 2, "nested too deeply"),
        (b"title: a\nx: &y {<<: *y}\n", None, "nested too deeply"),
        (b"title: a\nx: {<<: 7}\n", 2, "'<<' takes a mapping"),
        (b'title: a\nx: "\\ud800"\n', 2, "is not a valid str"),
        (b"title: a\nx: \x07\n", 2, "U+0007 is not allowed"),
        (b"title: a\nx: \xff\n", 2, "is not UTF-8"),
        ("title: a\n".encode("utf-16"), 1, "is not UTF-8"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b"title: a\n" * 200_000, None, "larger than 256 KiB"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_what_is_no_readable_yaml_is_refused(file: Path, raw: bytes, line: int | None, said: str) -> None:
    file.write_bytes(raw)
    with pytest.raises(SpecError) as caught:
        load(file)
    assert said in str(caught.value)
    assert caught.value.line == line or line is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("item", ["[{0}]", "{{<<: [{0}]}}"])
def test_an_alias_bomb_is_refused_at_once(file: Path, item: str) -> None:
    bomb = "title: a\nx0: &x0 {k: v}\n"
    for level in range(1, 30):
        bomb += f"x{level}: &x{level} " + item.format(", ".join([f"*x{level - 1}"] * 9)) + "\n"
    assert "expands to more than 20000 values" in str(refusal(file, bomb))


@pytest.mark.timeout(20)
def test_a_file_of_50_mb_is_not_read(file: Path) -> None:
    with file.open("wb") as big:
        big.truncate(50 * 2**20)
    with pytest.raises(SpecError, match="larger than 256 KiB"):
        load(file)


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    fifo, folder = tmp_path / "fifo.yaml", tmp_path / "folder.yaml"
    os.mkfifo(fifo)
    folder.mkdir()
    for path, said in (
        (fifo, "not a regular file"),
        (folder, "this is a directory"),
        (tmp_path / "none.yaml", "there is no such file"),
        (written(tmp_path / "drill.txt", DRILL), "cannot end in '.txt'"),
        (Path("x" * 5000 + ".yaml"), "cannot be read"),
        (Path("\0.yaml"), "cannot be read"),
    ):
        with pytest.raises(SpecError, match=said):
            load(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.yaml"))
        with pytest.raises(SpecError, match="not a regular file"):
            load(tmp_path / "s.yaml")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + DRILL.replace("\n", "\r\n").encode())
    assert load(file).faults()[0].line == 14


def test_a_drill_is_found_by_path_name_and_stem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = next(path for path in shipped() if path.name == "failover.yaml")
    assert find("failover.yaml") == find("failover") == find(expected) == expected
    (tmp_path / "failover").mkdir()
    assert find("failover") == expected
    mine = written(tmp_path / "failover.yaml", DRILL)
    assert find("failover.yaml").resolve() == mine
    for name, said in (
        ("failovr.yaml", "Did you mean 'failover.yaml'?"),
        ("elsewhere/failover.yaml", "there is no such file"),
        (tmp_path, "this is a directory"),
        ("\0", "there is no such file"),
        ("x" * 5000, "there is no such file"),
    ):
        with pytest.raises(SpecError) as caught:
            find(name)
        assert said in str(caught.value)


def test_the_shipped_schema_is_the_one_that_the_code_implies() -> None:
    again = "run: python -m drills.spec.schema > drills/drill.schema.json"
    assert SCHEMA.read_text(encoding="utf-8") == schema.text(), again


def schema_accepts(experiment: Any) -> bool:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).is_valid(experiment)


def test_the_schema_is_sound_and_knows_every_measure_and_fault() -> None:
    document = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    objectives = document["$defs"]["recdr"]["properties"]["objectives"]["properties"]
    assert set(objectives) == set(measures.MEASURES) == set(measure_rules())
    assert all(f"drills.faults.{name}" in SCHEMA.read_text() for name in FAULTS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    load: {rate", "    laod: {rate"),
        ("{rate: 100,", "{rate: -1,"),
        (OBJECTIVE, "rto_read: {max: 2}"),
        (OBJECTIVE, "rto_read_s: {max: 2s}"),
        (OBJECTIVE, "rto_read_s: {max: 1, phase: after}"),
        (OBJECTIVE, "rto_read_s: {min: 1}"),
        ("availability: {min: 0.95}", "availability: {min: 99.9}"),
        ("primary: {nodes: 2}", "primary: {nodes: 0}"),
        ("  - name: recdr\n", "  - {name: recdr, objectives: {rto_read_s: {max: 1}}}\n  - name: recdr\n"),
        ("  - name: recdr\n", "  - name: recrd\n"),
        ("    name: lose", "    name: lose\n    dry: actions"),
        (ARGUMENTS, ""),
        (ARGUMENTS, "      arguments: {regoin: primary}\n"),
        (ARGUMENTS, "      arguments: {region: primray}\n"),
        ("      func: inject", "      func: injekt"),
    ],
)
def test_an_editor_sees_the_commonest_mistakes(old: str, new: str) -> None:
    assert schema_accepts(yaml.safe_load(DRILL))
    assert not schema_accepts(yaml.safe_load(edited(old, new)))


SCALARS = st.sampled_from(
    [None, True, -1, 0, 1, 2, 0.5, 99.9, "", "x", "primary", "${lost}", "$", "2s", "recdr", "heal", "lose", [], {}, ["a"],
     {"max": 1}, {"ref": "lose"}, {"ref": ["x"]}, {"name": "recdr"}, 2**70, "\x00", "2026-01-01"]
)  # fmt: skip


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(place for key, item in inner for place in places(item, (*where, key)))]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_written_anywhere_is_a_drill_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """No mistake escapes as another exception, and nothing is accepted that an editor would mark as wrong."""
    experiment = yaml.safe_load(with_variants())
    for _ in range(data.draw(st.integers(1, 2))):
        *parents, last = data.draw(st.sampled_from(places(experiment)[1:]))
        holder = experiment
        for step in parents:
            holder = holder[step]
        action = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        old = holder.pop(last)
        if action == "replace" or isinstance(holder, list):
            value = deepcopy(data.draw(SCALARS))  # the next change may be made within it
            holder.insert(last, value) if isinstance(holder, list) else holder.update({last: value})
        elif action == "rename":
            holder[data.draw(st.sampled_from(["name", "x", f"{last}s"]))] = old
    path = tmp_path / "drill.json"
    path.write_text(json.dumps(experiment))
    try:
        drill = load(path)
    except SpecError as error:
        assert error.line is not None
        assert redacted(str(error)), "what is wrong is said without the drill's secrets, so it is looked into first"
        return
    assert isinstance(drill, Drill)
    assert schema_accepts(drill.experiment)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=60) | st.text("ab:-[]{}&*<|>!?#'\"%@`, \n\t0.~", max_size=60).map(str.encode))
def test_noise_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "noise.yaml"
    path.write_bytes(raw)
    with pytest.raises(SpecError):
        load(path)
