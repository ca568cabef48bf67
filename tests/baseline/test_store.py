"""Which baseline counts, which one may be used, and what is said of those that may not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from drills import baseline, spec
from drills.baseline import Store
from drills.baseline.conditions import conditions_of, differences, host_differences, key_of
from drills.errors import UsageError
from tests.baseline.stored import CONDITIONS, HOST, stored


@dataclasses.dataclass(frozen=True)
class Asked:
    baseline: str | None = None
    require_baseline: bool = False


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECDR_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(home: Path) -> Store:
    return Store.of(home)


def failover() -> spec.Drill:
    return spec.load(spec.find("failover.yaml"))


def test_what_is_stored_is_read_again(store: Store) -> None:
    one = stored(note="nach dem Umzug ✓")
    store.save(one)
    assert store.all() == [one]
    assert store.find(None) == store.find("20261122") == one
    assert store.unreadable() == {}


def test_a_name_must_be_one_baselines_beginning(store: Store) -> None:
    with pytest.raises(UsageError, match=r"there are: none yet.*recdr baseline record DRILL"):
        store.find(None)
    for name in ("aa-1", "aa-12"):
        store.save(stored(name))
    assert store.find("aa-1").id == "aa-1", "a whole id is no mere beginning"
    with pytest.raises(UsageError, match="beginning of several baselines: aa-1, aa-12"):
        store.find("aa")
    with pytest.raises(UsageError, match="no baseline zz"):
        store.find("zz")


def test_what_is_no_baseline_of_this_version_is_told_apart(store: Store) -> None:
    store.folder.mkdir()
    (store.folder / "old.json").write_text('{"recorded_in": "x", "measures": {}, "quality": {}}')
    (store.folder / "later.json").write_text('{"schema_version": 99}')
    (store.folder / "torn.json").write_text('{"schema_ver')
    store.save(stored("good"))
    assert [b.id for b in store.all()] == ["good"]
    problems = store.unreadable()
    assert list(problems) == ["later.json", "old.json", "torn.json"]
    assert "schema version 99, this recdr reads 1" in problems["later.json"]
    assert "no baseline of this version" in problems["old.json"]
    assert "not JSON" in problems["torn.json"]


def test_the_one_accepted_last_counts(store: Store) -> None:
    first, second = store.accept(stored("a")), stored("b")
    store.save(second)
    assert [store.state(first), store.state(second)] == ["accepted", "candidate"]
    second = store.accept(second)
    assert [store.state(first), store.state(second)] == ["replaced", "accepted"]
    assert store.accepted(first.key) == second
    assert store.accepted("another key") is None


def test_one_of_this_kind_of_host_goes_before_a_later_one_of_another(store: Store) -> None:
    here = store.accept(stored("here"))
    elsewhere = store.accept(stored("elsewhere", host={**HOST, "cpus": 64}))
    assert store.accepted(here.key, HOST) == here
    assert store.accepted(here.key, {**HOST, "cpus": 64}) == elsewhere
    other = {**HOST, "machine": "aarch64"}
    assert store.accepted(here.key, other) == elsewhere
    assert store.accepted(here.key, other, same_host=True) is None
    assert [store.state(b) for b in (here, elsewhere)] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("host", "differs"),
    [
        ({}, []),
        ({"memory_gib": 9.9}, []),
        ({"accelerator": "simulated"}, []),
        ({"memory_gib": 16.0}, ["memory: 8 GiB there, 16 GiB here"]),
        ({"accelerator": "cuda"}, ["accelerator: cpu there, cuda here"]),
        ({"cpus": 4, "machine": "aarch64"}, ["machine: x86_64 there, aarch64 here", "cpus: 2 there, 4 here"]),
    ],
)
def test_the_kind_of_host_is_rough(host: dict[str, Any], differs: list[str]) -> None:
    assert host_differences(HOST, {**HOST, **host}) == differs


def test_every_condition_is_part_of_the_key_but_not_how_many_processes_send_the_load() -> None:
    drill = failover()
    usual = conditions_of(drill, "model-1")
    load, probes, topology = drill.load, drill.probes, drill.topology
    others = [
        conditions_of(drill, "model-2"),
        conditions_of(dataclasses.replace(drill, load=dataclasses.replace(load, rate=50.0)), "model-1"),
        conditions_of(dataclasses.replace(drill, probes=dataclasses.replace(probes, timeout_s=1.0)), "model-1"),
        conditions_of(
            dataclasses.replace(drill, topology=dataclasses.replace(topology, replication="sync")), "model-1"
        ),
    ]
    assert len({key_of(one) for one in [usual, *others]}) == 5
    shared = conditions_of(dataclasses.replace(drill, load=dataclasses.replace(load, workers=2)), "model-1")
    elsewhere = conditions_of(
        dataclasses.replace(drill, topology=dataclasses.replace(topology, accelerator="cuda")), "model-1"
    )
    assert key_of(usual) == key_of(shared) == key_of(elsewhere)


def test_differences_name_the_setting_and_both_values() -> None:
    other = {**CONDITIONS, "identity": "model-2", "load": {"rate": 50.0, "users": 30, "workers": 2}}
    assert differences(other, CONDITIONS) == [
        "identity: model-2 there, model-1 here",
        "load.rate: 50 there, 100 here",
    ]


def test_a_named_baseline_of_something_else_is_refused_naming_each_difference(store: Store) -> None:
    drill = failover()
    ours = conditions_of(drill, "model-1")
    other = {**ours, "identity": "model-0", "load": {**ours["load"], "rate": 10.0}}
    store.save(stored("other", conditions=other))
    with pytest.raises(UsageError) as refused:
        baseline.check(drill, "model-1", Asked(baseline="other"))
    for words in ("identity: model-0 there, model-1 here", "load.rate: 10 there, 100 here", "recdr baseline record"):
        assert words in str(refused.value)
    store.save(stored("same", conditions=ours, host={**HOST, "cpus": 99}))
    baseline.check(drill, "model-1", Asked(baseline="same"))


def test_a_required_baseline_must_be_accepted_for_just_this(store: Store) -> None:
    drill, required = failover(), Asked(require_baseline=True)
    with pytest.raises(UsageError, match=r"no baseline is accepted for failover\.yaml: record one with 'recdr"):
        baseline.check(drill, "model-1", required)
    store.accept(stored("of-another-model", conditions=conditions_of(drill, "model-0")))
    with pytest.raises(UsageError, match="of-another-model differs: identity: model-0 there, model-1 here"):
        baseline.check(drill, "model-1", required)
    candidate = stored("candidate", conditions=conditions_of(drill, "model-1"))
    store.save(candidate)
    with pytest.raises(UsageError, match="'recdr baseline accept candidate'"):
        baseline.check(drill, "model-1", required)
    store.accept(candidate)
    baseline.check(drill, "model-1", required)
    baseline.check(drill, "model-2", Asked())
