"""What is done to the ways of a lab: each cause by itself, one way or both, and all of it undone at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from drills.targets.base import A_TO_B, EDGE, Shapeable
from drills.targets.local.target import LocalTarget

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def whole(lab: LocalTarget) -> Iterator[None]:
    yield
    lab._ask("heal")


def test_a_link_that_two_faults_cut_is_whole_when_both_are_mended(lab: LocalTarget) -> None:
    lab.cut("primary", "standby", why="one")
    lab.cut("primary", "standby", why="other")
    lab.mend("primary", "standby", why="one")
    assert not lab.reachable("primary", "standby")
    lab.mend("primary", "standby", why="one")
    assert not lab.reachable("primary", "standby")
    lab.mend("primary", "standby", why="other")
    assert lab.reachable("primary", "standby")


def test_a_partition_mended_during_a_region_s_loss_does_not_bring_its_network_back(lab: LocalTarget) -> None:
    lab.lose_region("standby")
    try:
        lab.cut("primary", "standby", why="partition")
        lab.mend("primary", "standby", why="partition")
        assert not lab.delivered("primary", "standby")
        assert lab.status()["cuts"] == [["edge", "standby"], ["primary", "standby"]]
    finally:
        lab.reset()
    assert lab.delivered("primary", "standby")
    assert lab.status()["cuts"] == []


def test_one_way_is_silent_and_the_other_is_not(lab: LocalTarget) -> None:
    lab.cut("primary/store", "standby", A_TO_B, why="x")
    assert not lab.delivered("primary/store", "standby")
    assert lab.delivered("standby", "primary/store")
    assert not lab.reachable("primary/store", "standby"), "a connection takes both ways"
    assert lab.delivered("primary/node-1", "standby"), "only the store is cut off"


def test_the_witness_sees_the_store_of_a_region_that_its_clients_cannot_reach(lab: LocalTarget) -> None:
    lab.cut_clients("standby")
    assert lab.observe("standby/node-1") is None
    assert lab.reachable(EDGE, "standby/store")
    assert lab.reachable("standby/node-1", EDGE), "the nodes ask the witness"
    lab.mend_clients("standby")
    assert lab.observe("standby/node-1") is not None


def test_a_drained_region_gets_no_reads(lab: LocalTarget) -> None:
    lab.drain("primary")
    assert set(lab.drained()) == set(lab.nodes_of("primary"))
    seen = [regions_that_answer(lab)]
    while seen[-1] != {"standby"} and len(seen) < 50:  # the director may count the standby as down yet: 503
        time.sleep(0.1)
        seen.append(regions_that_answer(lab))
    assert seen[-1] == {"standby"}
    assert set().union(*seen) <= {"standby", None}
    lab.undrain("primary")
    assert lab.drained() == ()


def regions_that_answer(lab: LocalTarget) -> set[str | None]:
    """By four reads through the edge; None is an answer of no region."""
    asked = [httpx.post(f"{lab.deployment.edge_url}/v1/recommend", json={"user": "196", "k": 5}) for _ in range(4)]
    return {answer.headers.get("X-Recsvc-Region") for answer in asked}


def test_a_narrow_link_lets_through_what_it_may(lab: LocalTarget) -> None:
    if why := lab.lacks(Shapeable):
        pytest.skip(why)
    assert (lab.send_datagrams("primary", "standby", 60, 1400, 1.0).mbit_per_s or 0) > 20
    lab.shape("primary", "standby", {"rate_mbit": 2}, why="x")
    seen = lab.send_datagrams("primary", "standby", 60, 1400, 3.0)
    assert len(seen.delays_ms) == 60
    assert 1 < (seen.mbit_per_s or 0) < 3
    assert (lab.send_datagrams("edge", "standby", 60, 1400, 1.0).mbit_per_s or 0) > 20, "another way is as it was"
    lab.unshape("x")
    assert (lab.send_datagrams("primary", "standby", 60, 1400, 1.0).mbit_per_s or 0) > 20


def test_everything_is_undone_though_nobody_says_what_was_done(lab: LocalTarget) -> None:
    lab.cut("primary", "standby", A_TO_B, why="a")
    lab.cut_clients("primary")
    lab.drain("standby")
    if lab.lacks(Shapeable) is None:
        lab.shape("primary", "standby", {"rate_mbit": 2}, why="x")
    assert len(lab.status()["broken"]) >= 3
    lab._ask("heal")
    lab._ask("heal")
    assert lab.status()["broken"] == lab.status()["cuts"] == []
    assert lab.drained() == ()
    assert lab.reachable("primary", "standby")
    assert lab.observe("primary/node-1") is not None
    assert (lab.send_datagrams("primary", "standby", 60, 1400, 1.0).mbit_per_s or 0) > 20
