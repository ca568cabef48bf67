"""What is drawn of nodes and stores: holes stay holes, and spikes stay."""

from __future__ import annotations

from typing import Any

import numpy as np

from drills.recording.record import Event
from reports.happenings import Clock
from reports.samples import KIND, NO_ANSWER, Lag, samples

NS = 1_000_000_000
AT = Clock(start=0, end=60 * NS, zero=10 * NS, injected=10 * NS, healed=20 * NS)
OK = {"accelerator": "cuda", "state": "ok"}


def seen(t_s: float, nodes: Any = None, stores: Any = None) -> Event:
    return Event(t=int(t_s * NS), kind=KIND, trial=1, data={"nodes": nodes or {}, "stores": stores or {}})


def stores(master: int | None, replica: int | None, *, linked: bool = True, role: str = "slave") -> dict[str, Any]:
    return {
        "primary": None if master is None else {"role": "master", "offset": master, "linked": None},
        "standby": None if replica is None else {"role": role, "offset": replica, "linked": linked},
    }


def lag_of(*rounds: dict[str, Any]) -> Lag:
    found = samples([seen(i / 2, stores=one) for i, one in enumerate(rounds)], AT).lag
    assert found is not None
    return found


def test_a_state_lasts_until_the_next_sample_says_otherwise() -> None:
    states = ["ok", "ok", "degraded", "recovering", "ok"]
    events = [seen(i / 2, {"a/1": {**OK, "state": state}}) for i, state in enumerate(states)]
    (node,) = samples(events, AT).nodes
    assert [(s.begin_s, s.end_s, s.state) for s in node.stretches] == [
        (-10, -9, "ok"),
        (-9, -8.5, "degraded"),
        (-8.5, -8, "recovering"),
        (-8, -7.5, "ok"),
    ]
    assert node.accelerator == "cuda"


def test_no_answer_is_a_state_and_no_sample_is_a_hole() -> None:
    events = [seen(t, {"a/1": said}) for t, said in ((0, OK), (0.5, None), (1.0, OK), (20.0, OK))]
    (node,) = samples(events, AT).nodes
    assert [(s.begin_s, s.end_s, s.state) for s in node.stretches][:2] == [(-10, -9.5, "ok"), (-9.5, -9, NO_ANSWER)]
    assert sum(s.end_s - s.begin_s for s in node.stretches) < 3, "nobody knows how it was between 1 s and 20 s"


def test_a_replica_is_as_many_seconds_behind_as_the_master_took_to_write_it() -> None:
    lag = lag_of(*(stores(1_000 * i, min(1_000 * i, 4_000)) for i in range(9)))
    assert lag.bytes.tolist() == [0, 0, 0, 0, 0, 1_000, 2_000, 3_000, 4_000]
    assert lag.seconds.tolist() == [0, 0, 0, 0, 0, 0.5, 1, 1.5, 2]
    assert lag.worst_s(-10, -7.5) == 0
    assert lag.worst_s(50, 60) is None


def test_what_was_not_seen_is_no_zero() -> None:
    lag = lag_of(
        stores(1_000, 900),
        stores(None, 900),
        stores(2_000, None),
        stores(2_500, 2_500, role="master"),
        stores(3_000, 0),
    )
    assert np.isnan(lag.bytes).tolist() == [False, True, True, True, False]
    assert np.isnan(lag.seconds[-1]), "how long ago the master wrote that, nobody saw"


def test_a_replica_that_seems_to_be_ahead_is_level() -> None:
    assert lag_of(stores(1_000, 1_080)).bytes.tolist() == [0]


def test_the_longest_lag_of_a_long_trial_is_drawn() -> None:
    at = Clock(start=0, end=4_000 * NS, zero=0, injected=0, healed=None)
    rounds = [seen(i / 2, stores=stores(1_000 * i, 1_000 * i - (4_000 if i == 3_333 else 0))) for i in range(6_000)]
    lag = samples(rounds, at).lag
    assert lag is not None
    assert len(lag.t_s) <= 601
    assert np.nanmax(lag.bytes) == 4_000


def test_a_run_without_samples_has_neither() -> None:
    assert samples([Event(t=5, kind="trial.started", trial=1)], AT) == samples([], AT)
    assert samples([], AT).lag is None
