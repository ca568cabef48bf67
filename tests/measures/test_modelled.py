"""What the configuration predicts: literal timers and faults whose bounds can be added up by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.measures import modelled
from drills.measures.modelled import Traffic, bound
from drills.measures.outage import Fault, Outage, outage
from drills.recording.record import Event
from tests.measures.literal import event, ns

NODES = {"primary": ("primary/node-1", "primary/node-2"), "standby": ("standby/node-1", "standby/node-2")}
TIMERS = {
    "check_inter_s": 0.1, "check_fastinter_s": 0.05, "check_downinter_s": 0.04, "check_timeout_s": 0.09,
    "connect_timeout_s": 0.08, "check_fall": 3, "check_rise": 2, "error_limit": 5,
    "sentinel_ping_s": 0.2, "witness_down_after_s": 0.4, "sentinel_tick_s": 0.1,
    "node_poll_s": 0.05, "node_replica_gone_s": 0.5, "node_commit_wait_s": 0.2,
}  # fmt: skip
TRAFFIC = Traffic(reads_per_s=70, probe_reads_per_s=50, probe_writes_per_s=25, answer_s=0.01)
SILENT = 0.1 + 2 * 0.05 + 3 * 0.08
PROMOTED = 0.2 + 0.4 + 5 * 0.1
TAKEN_IN = 2 * (0.04 + 0.09)

LOST: Fault = ("region_loss", {"region": "primary"})
ISOLATED: Fault = ("partition", {"a": "primary", "b": "edge,standby"})
SPLIT: Fault = ("partition", {"a": "primary", "b": "standby"})


def gone(*faults: Fault) -> Outage:
    found = outage(faults, NODES)
    assert found is not None
    return found


def bounds(*faults: Fault, replication: str = "semisync", traffic: Traffic = TRAFFIC) -> dict[str, float]:
    found = bound(TIMERS, gone(*faults), replication, traffic)
    return {name: round(sum(parts.values()), 6) for name, parts in found.items()}


@pytest.mark.parametrize("fault", [LOST, ISOLATED, ("partition", {"a": "edge", "b": "primary"})])
def test_a_region_out_of_the_edge_s_sight_fails_over(fault: Fault) -> None:
    reads = round(SILENT + 0.02 + 0.01, 6)
    assert bounds(fault) == {
        "detected": round(SILENT, 6),
        "promoted": PROMOTED,
        "rerouted": reads,
        "first_good": reads,
        "sustained_read": reads,
        "sustained_write": round(PROMOTED + 0.1 + TAKEN_IN + 0.04 + 0.01, 6),
    }


def test_a_refused_connection_is_noticed_at_once_and_by_traffic_even_sooner() -> None:
    fault: Fault = ("node_kill", {"node": "primary/node-1", "signal": "KILL"})
    by_checks, by_traffic = 0.1 + 2 * 0.05, round(5 / 35, 6)
    assert bounds(fault)["detected"] == by_traffic < by_checks
    assert bounds(fault, traffic=Traffic())["detected"] == by_checks
    assert set(bounds(fault)) == {"detected", "first_good", "sustained_read", "sustained_write"}


def test_a_frozen_node_is_noticed_after_the_check_timeout_and_never_by_failing_connections() -> None:
    fault: Fault = ("node_kill", {"node": "primary/node-1", "signal": "STOP"})
    assert bounds(fault)["detected"] == pytest.approx(0.1 + 2 * 0.05 + 3 * 0.09)


def test_a_dead_spare_node_disturbs_nobody() -> None:
    assert bounds(("node_kill", {"node": "standby/node-1"})) == {"detected": pytest.approx(0.2)}


def test_a_split_makes_no_new_master_but_a_pause_of_writes() -> None:
    writes = 0.05 + 0.5 + 0.2 + TAKEN_IN + 0.04 + 0.01
    assert bounds(SPLIT) == {"sustained_write": pytest.approx(writes)}
    assert bounds(SPLIT, replication="async") == {}
    assert bounds(("region_loss", {"region": "standby"}))["sustained_write"] == pytest.approx(writes)


def test_sync_predicts_no_writes_while_a_region_is_lost() -> None:
    assert "sustained_write" not in bounds(LOST, replication="sync")
    assert "promoted" in bounds(LOST, replication="sync")
    assert bounds(SPLIT, replication="sync") == {}


@pytest.mark.parametrize("fault", [("gpu_loss", {"node": "primary/node-1"}), ("noop", {})])
def test_what_takes_nobody_away_predicts_nothing(fault: Fault) -> None:
    assert bounds(fault) == {}


@pytest.mark.parametrize(
    "fault", [("custom", {}), ("partition", {"a": "primary/node-1", "b": "primary/store"})], ids=["unknown", "inside"]
)
def test_what_cannot_be_told_is_left_out(fault: Fault) -> None:
    assert outage([fault], NODES) is None


def test_with_everything_gone_nothing_comes_back() -> None:
    assert set(bounds(LOST, ("region_loss", {"region": "standby"}))) == {"detected"}


def test_a_master_whose_nodes_are_gone_is_not_replaced() -> None:
    nodes: Fault = ("partition", {"a": "edge", "b": "primary/node-1,primary/node-2"})
    found = bounds(nodes)
    assert "rerouted" in found
    assert {"promoted", "sustained_write"}.isdisjoint(found)


def test_a_missing_timer_takes_its_phases_with_it_and_no_other() -> None:
    timers = {name: value for name, value in TIMERS.items() if name != "witness_down_after_s"}
    found = bound(timers, gone(LOST), "semisync", TRAFFIC)
    assert set(found) == {"detected", "rerouted", "first_good", "sustained_read"}


@given(st.sampled_from(sorted(TIMERS)), st.floats(1.0, 10.0), st.sampled_from([LOST, ISOLATED, SPLIT]))
def test_a_longer_timer_never_promises_less(name: str, factor: float, fault: Fault) -> None:
    longer = bound(TIMERS | {name: TIMERS[name] * factor}, gone(fault), "semisync", TRAFFIC)
    for phase, parts in bound(TIMERS, gone(fault), "semisync", TRAFFIC).items():
        assert sum(longer[phase].values()) >= sum(parts.values()) - 1e-9


def deployed(**changes: Any) -> Event:
    data = {"nodes": NODES, "timers": TIMERS, "replication": "semisync"} | changes
    return Event(t=ns(-5), kind="target.deployed", data=data)


def of_trial(*events: Event, first_error: float | None = 0.2) -> dict[str, dict[str, Any]]:
    phases = {"first_error": first_error, "healed": 10.0}
    return modelled.of_trial([*events, event("prober.started", 0, rates={"probe_read": 50})], phases, 0.01)


def injected(at_s: float, fault: Fault) -> Event:
    return event("fault.injected", at_s, fault=fault[0], arguments=fault[1])


def test_a_trial_s_bounds_name_their_parts_and_what_dominates() -> None:
    found = of_trial(deployed(), injected(10, LOST))
    assert found["promoted"] == {
        "bound_s": pytest.approx(PROMOTED),
        "parts": {"sentinel_ping_s": 0.2, "witness_down_after_s": 0.4, "sentinel_tick_s": 0.5},
        "dominating": "sentinel_tick_s",
    }
    for entry in found.values():
        assert entry["bound_s"] == pytest.approx(sum(entry["parts"].values()))
        assert entry["parts"][entry["dominating"]] == max(entry["parts"].values())


@pytest.mark.parametrize("changes", [{"timers": None}, {"timers": {}}, {"timers": [1]}, {"nodes": None}, {"nodes": {}}])
def test_a_target_without_timers_predicts_nothing(changes: dict[str, Any]) -> None:
    assert of_trial(deployed(**changes), injected(10, LOST)) == {}


def test_no_fault_and_faults_in_turn_predict_nothing() -> None:
    assert of_trial(deployed()) == {}
    healed = event("fault.healed", 12, fault=LOST[0], arguments=LOST[1])
    assert of_trial(deployed(), injected(10, LOST), healed, injected(15, SPLIT)) == {}


def test_faults_together_count_from_the_first_and_wait_for_the_last() -> None:
    found = of_trial(deployed(), injected(10, SPLIT), injected(13, ("partition", {"a": "edge", "b": "primary"})))
    assert found["promoted"]["parts"]["later_fault_s"] == 3.0
    assert found["promoted"]["dominating"] == "later_fault_s"


def test_a_failure_that_healing_brought_has_no_bound() -> None:
    assert "first_good" in of_trial(deployed(), injected(10, LOST))
    assert "first_good" not in of_trial(deployed(), injected(10, LOST), first_error=10.5)
    assert "first_good" not in of_trial(deployed(), injected(10, LOST), first_error=None)


def test_the_order_of_events_changes_nothing() -> None:
    events = [deployed(), injected(10, LOST), event("fault.healed", 20, fault=LOST[0], arguments=LOST[1])]
    found = [of_trial(*order) for order in itertools.permutations(events)]
    assert all(one == found[0] for one in found)
