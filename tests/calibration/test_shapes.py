"""Every shape once: the real prober, record, read-back and measures against what the scripted server really did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drills.calibration import error_of, run
from drills.calibration.run import plan
from drills.load import readback

GROUPS = {
    "dark": ["dark-drops-0.1", "dark-refuses-0.1", "dark-holds-0.1", "errors-0.1", "slow-0.5"],
    "long": ["flapping", "half", "degraded"],
    "writes": ["lost-in-one", "lost-in-both", "doubled", "unacknowledged", "stale", "split-brain"],
}
SHAPES = [(group, shape) for group, shapes in GROUPS.items() for shape in shapes]


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The calibrations so far, by group: each group is one session."""
    return {}


@pytest.fixture
def rows(
    group: str,
    shape: str,
    calibrated: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, dict[str, Any]]:
    """What the shape's measures read, by measure."""
    # Regions that have lost something never agree; a late one shows all after 1 s.
    monkeypatch.setattr(readback, "CATCH_UP_S", 2.5)
    monkeypatch.setattr(readback, "CALM_S", 0.5)
    if group not in calibrated:
        calibrated[group] = run.calibrate(plan(GROUPS[group], repetitions=1), tmp_path, lambda *_: None)
    return {row["measure"]: row for row in calibrated[group]["summary"] if row["shape"] == shape}


@pytest.mark.parametrize(("group", "shape"), SHAPES)
def test_every_measure_reads_what_the_server_did(shape: str, rows: dict[str, dict[str, Any]]) -> None:
    if not rows:
        pytest.skip("this machine is too busy for the server to keep its script")
    outside = {name: row for name, row in rows.items() if row["outcome"] == "FAIL"}
    assert not outside
    missed = [
        name for name, row in rows.items() if name.startswith("rto") and (row["interval_held"] or 0) < row["intervals"]
    ]
    assert not missed, "the measure's own interval must hold the truth"


@pytest.mark.parametrize(
    ("group", "shape", "measure", "truth"),
    [
        ("dark", "dark-drops-0.1", "rto_read_s", 0.1),
        ("dark", "slow-0.5", "p50_ms@during", 600),
        ("long", "flapping", "rto_read_s", 1.9),
        ("long", "half", "failed_writes", 25),
        ("long", "degraded", "rto_quality_s", 1.77),
        ("writes", "lost-in-one", "rpo_events", 9),
        ("writes", "lost-in-both", "rpo_events", 7),
        ("writes", "doubled", "duplicated_events", 9),
        ("writes", "unacknowledged", "rpo_events.recovered", 9),
        ("writes", "stale", "stale_events", 13),
        ("writes", "split-brain", "split_brain_events", 23),
    ],
)
def test_the_truth_is_what_was_scripted(
    measure: str, truth: float, shape: str, rows: dict[str, dict[str, Any]]
) -> None:
    """The books must not agree with the measures by saying nothing."""
    if not rows:
        pytest.skip("this machine is too busy for the server to keep its script")
    slack = 1 if measure.endswith(("events", "writes", "recovered")) else 0.05 * truth
    assert rows[measure]["truth"][0] == pytest.approx(truth, abs=slack)


@pytest.mark.parametrize(("group", "shape"), [("dark", "errors-0.1")])
def test_the_document_speaks_of_the_host(
    group: str, rows: dict[str, dict[str, Any]], calibrated: dict[str, dict[str, Any]]
) -> None:
    document = calibrated[group]
    assert document["schema_version"] == 1
    assert document["host"]["cpus"] >= 1
    assert document["lateness_ms"]["probes"] > 500
    assert document["lateness_ms"]["p50"] <= document["lateness_ms"]["p99"] <= document["lateness_ms"]["worst"]
    found = error_of(document, "rto_read_s")
    assert found is not None
    assert found.n == len(GROUPS["dark"]) - 1, "the outage that must read 0 says nothing about how long outages are"
    assert "rto_read_s was off by " in found.sentence
