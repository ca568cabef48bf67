"""Figures, bounds and verdicts in words."""

from __future__ import annotations

from typing import Any

import pytest

from reports import wording
from reports.facts import Measured


def measure(value: float | None = 0.4, **changes: Any) -> Measured:
    settings: dict[str, Any] = {
        "name": "rto_read_s", "unit": "s", "resolution": None, "interval": None, "possible": None,
        "censored": False,
        "objective": {"max": 1}, "baseline": None, "outcome": "PASS", "reason": "", "evidence": {},
    }  # fmt: skip
    return Measured(value=value, **(settings | changes))


@pytest.mark.parametrize(
    ("value", "unit", "resolution", "shown"),
    [
        (0.41234, "s", 0.02, "0.41 s"),
        (0.4, "s", 0.02, "0.40 s"),
        (0.001, "s", 0.02, "0.001 s"),
        (0.0, "s", 0.02, "0.00 s"),
        (0.41234, "s", None, "0.412 s"),
        (123.4, "ms", None, "123 ms"),
        (12_345, "events", None, "12,345"),
        (0.99996, "ratio", None, "0.99996"),
        (1.0, "ratio", None, "1.000"),
        (None, "s", None, "not observed"),
        (0.0000123, "s", None, "1.2e-05 s"),
    ],
)
def test_a_figure_has_the_digits_it_deserves(
    value: float | None, unit: str, resolution: float | None, shown: str
) -> None:
    assert wording.figure(value, unit, resolution) == shown


def test_a_censored_value_is_a_lower_bound() -> None:
    m = measure(25.0, censored=True, outcome="FAIL")
    assert wording.measured(m) == "≥ 25 s"
    assert wording.margin(m) == "24 s or more over"


@pytest.mark.parametrize(
    ("m", "bound", "objective", "margin"),
    [
        (measure(0.4), "at most 1 s", "at most 1 s", "0.6 s to spare"),
        (measure(1.0), "at most 1 s", "at most 1 s", "at the bound"),
        (measure(None), "at most 1 s", "at most 1 s", ""),
        (
            measure(0.28, unit="ratio", objective={"min_ratio": 0.5}, baseline=0.6),
            "at least 0.5 × baseline", "at least 0.5 × baseline (= 0.300)", "0.020 short",
        ),
        (
            measure(0.28, unit="ratio", objective={"min_ratio": 0.5}),
            "at least 0.5 × baseline", "at least 0.5 × baseline", "",
        ),
        (measure(7, unit="ms", objective={"max": 5, "phase": "after"}), "at most 5 ms, after healing",
         "at most 5 ms, after healing", "2 ms over"),
    ],
)  # fmt: skip
def test_a_bound_and_the_room_it_leaves(m: Measured, bound: str, objective: str, margin: str) -> None:
    assert (wording.bound(m), wording.objective(m), wording.margin(m)) == (bound, objective, margin)


def test_missing_records_leave_a_range_and_no_margin() -> None:
    m = measure(32.1, possible=(0.26, 32.1), resolution=0.02, outcome="UNKNOWN")
    assert wording.measured(m) == "0.26 to 32.10 s"
    assert wording.margin(m) == ""
    assert "not all was recorded" in wording.precision(m)


def test_unknown_measures_keep_their_name() -> None:
    assert wording.label("recall_at_5") == "Recall@5"
    assert wording.label("ndcg_at_10") == "NDCG@10"
    assert wording.label("overlap_at_20") == "List overlap@20"
    assert wording.label("p99_ms@after") == "Latency, 99th percentile, after healing"
    assert wording.label("something_new") == "something_new"
