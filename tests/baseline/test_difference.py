"""Two baselines against each other."""

from __future__ import annotations

import pytest

from drills.baseline import Steady, difference
from tests.baseline.stored import HOST, stored


def test_a_baseline_is_like_itself() -> None:
    found = difference(stored("a"), stored("b"))
    assert found["measures"]["p99_ms"] == {"a": 20.0, "b": 20.0, "ratio": 1.0, "beyond_spread": False}
    assert found["lists"]["edge"] == {
        "users": 2,
        "only_in_one": 0,
        "mean": 1.0,
        "least": 1.0,
        "least_user": "q0",
        "identical": 1.0,
    }
    assert found["lists"].keys() == {"edge", "standby"}
    assert (found["conditions"], found["host"], found["versions"]) == ([], [], [])


def test_what_has_changed_is_told_measure_by_measure_and_user_by_user() -> None:
    other = stored(
        "b",
        measures={"p99_ms": Steady(40.0, 30.0, 50.0), "p50_ms": Steady(9.0)},
        lists={"q0": ["a", "b", "c"], "q1": ["x", "y", "z"], "q2": ["a"]},
        regions={},
        host={**HOST, "cpus": 4},
        versions={"recdr": "0.2.0"},
    )
    found = difference(stored("a"), other)
    assert found["measures"]["p99_ms"] == {"a": 20.0, "b": 40.0, "ratio": 2.0, "beyond_spread": True}
    assert found["measures"]["recall_at_20"] == {"a": 0.3, "b": None, "ratio": None, "beyond_spread": None}
    assert found["measures"]["p50_ms"]["a"] is None
    edge = found["lists"]["edge"]
    assert (edge["users"], edge["only_in_one"], edge["identical"]) == (2, 1, 0.5)
    assert (edge["least"], edge["least_user"]) == (0.0, "q1")
    assert edge["mean"] == pytest.approx(0.5)
    assert "standby" not in found["lists"]
    assert found["host"] == ["cpus: 2 there, 4 here"]
    assert found["versions"] == ["recdr: 0.1.0 there, 0.2.0 here"]
