"""What figures come to: bounds, excuses, intervals, and what a report says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drills.calibration import error_of, figures, load
from drills.calibration.figures import Figure
from drills.calibration.run import Plan, plan, save
from drills.errors import UsageError
from drills.recording import rundir


def figure(measured: float | None, truth: float = 0.5, **changed: Any) -> Figure:
    known: dict[str, Any] = {"shape": "dark", "trial": 1, "measure": "rto_read_s", "unit": "s", "bound": 0.025}
    known |= {"held": True, "disturbance_s": 0.002}
    return Figure(measured=measured, truth=truth, **{**known, **changed})


def test_a_figure_is_within_its_bound_or_not() -> None:
    assert figure(0.525).within
    assert not figure(0.526).within
    assert not figure(None).within
    assert figure(9, 9, bound=0.0, unit="events").within
    assert not figure(8, 9, bound=0.0, unit="events").within


def test_only_what_held_the_host_up_excuses() -> None:
    assert figures.outcome([figure(0.51)]) == "PASS"
    assert figures.outcome([figure(0.51), figure(0.6)]) == "FAIL"
    assert figures.outcome([figure(0.51), figure(0.6, disturbance_s=0.08)]) == "UNKNOWN"
    assert figures.outcome([figure(0.6, disturbance_s=0.08), figure(0.6)]) == "FAIL"
    assert figures.outcome([figure(None, disturbance_s=0.001)]) == "FAIL", "a record that was kept back is no excuse"
    assert figures.outcome([figure(None, disturbance_s=0.06)]) == "UNKNOWN"
    assert figures.outcome([figure(8, 9, bound=0.0, unit="events", disturbance_s=0.001)]) == "FAIL"
    assert figures.outcome([figure(8, 9, bound=0.0, unit="events", disturbance_s=0.02)]) == "UNKNOWN"
    assert figures.outcome([figure(4, 9, bound=0.0, unit="events", disturbance_s=0.02)]) == "FAIL"


def test_the_interval_of_the_median_takes_six() -> None:
    errors = [0.001, 0.002, 0.003, 0.004, 0.005, 0.021]
    [row] = figures.summary(figure(0.5 + error) for error in errors)
    assert row["interval"] == pytest.approx([0.001, 0.021])
    assert (row["n"], row["worst_error"], row["mean_error"]) == (6, 0.021, pytest.approx(0.006))
    assert (row["interval_held"], row["intervals"]) == (6, 6)
    [row] = figures.summary(figure(0.5 + error) for error in errors[:5])
    assert row["interval"] is None
    [row] = figures.summary(figure(0.5 + n / 1000) for n in range(20))
    assert row["interval"] == pytest.approx([0.005, 0.014]), "ranks 6 and 15 of 20 enclose the median with 95.9 %"


def test_outages_that_must_read_0_do_not_flatter_the_mean() -> None:
    rows = figures.over_shapes([figure(0.51), figure(0.0, 0.0)])
    assert rows["rto_read_s"]["mean_error"] == pytest.approx(0.01)
    assert figures.over_shapes([figure(0.0, 0.0, measure="rpo_events", unit="events")])["rpo_events"]["n"] == 1


def document(**changed: Any) -> dict[str, Any]:
    found = [figure(0.51), figure(0.496), figure(0.0, 0.0, measure="rpo_events", unit="events", bound=0.0)]
    return {
        "schema_version": 1,
        "host": rundir.host_facts(),
        "recorded_at": "2026-11-22T05:00:00+00:00",
        "measures": figures.over_shapes(found),
    } | changed


def test_a_calibration_is_known_again_on_its_own_host_only(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    save(document(figures=[{"shape": "dark"}]), tmp_path / "home")
    assert load(tmp_path / "home") == json.loads(json.dumps(document()))
    for stranger in (document(host={**rundir.host_facts(), "cpus": 999}), document(schema_version=2)):
        save(stranger, tmp_path)
        assert load(tmp_path) is None
    (tmp_path / "calibration.json").write_text("[")
    assert load(tmp_path) is None


def test_what_a_report_says() -> None:
    found = error_of(document(), "rto_read_s")
    assert found is not None
    assert found.sentence == (
        "rto_read_s was off by +10.0 ms at worst and +3.0 ms on average over 2 scripted outages (2026-11-22)."
    )
    exact = error_of(document(), "rpo_events")
    assert exact is not None
    assert exact.sentence == "rpo_events was exact in 1 of 1 scripted outage (2026-11-22)."
    rows = figures.over_shapes([figure(None), figure(0.8)])
    doubtful = error_of(document(measures=rows), "rto_read_s")
    assert doubtful is not None
    assert doubtful.sentence.endswith("(2026-11-22; 1 of them were not read; the calibration is FAIL).")
    assert error_of(document(), "p50_ms") is None
    assert error_of(None, "rto_read_s") is None


def test_plans() -> None:
    assert plan(quick=True).seconds < 100
    assert plan(quick=True).repetitions == 1
    names = [shape.name for shape in plan(repetitions=20).shapes]
    assert {f"dark-drops-{s}" for s in ("0.1", "0.5", "2", "5")} < set(names)
    assert len(names) == len(set(names))
    assert Plan(plan().shapes, 2).seconds > Plan(plan().shapes, 1).seconds
    with pytest.raises(UsageError, match=r"no shape is called dark: choose from dark-drops-0\.1"):
        plan(["dark"])
