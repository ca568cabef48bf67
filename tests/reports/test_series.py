"""Figures that the charts draw: on literal columns whose right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reports import seconds, series
from reports.columns import NOBODY, Requests

MS = 1_000_000


def requests(rows: list[dict[str, Any]]) -> Requests:
    """Columns from rows; each row names only what matters (times in ms)."""

    def column(key: str, default: Any, kind: Any) -> Any:
        return np.array([row.get(key, default) for row in rows], dtype=kind)

    due = column("due", 0, np.int64) * MS
    return Requests(
        trial=column("trial", 1, np.int64),
        due=due,
        done=due + np.array([int(row.get("took", 1) * MS) for row in rows], dtype=np.int64),
        ok=column("ok", True, np.bool_),
        sent=column("sent", True, np.bool_),
        write=column("write", False, np.bool_),
        quality=column("quality", False, np.bool_),
        region=column("region", 0, np.int64),
        hits=column("hits", np.nan, np.float64),
        expected=column("expected", np.nan, np.float64),
        ids=pa.chunked_array([pa.array([row.get("id") for row in rows], type=pa.string())]),
        regions=("primary", "standby"),
        model=column("model", 0, np.int64),
        degraded=column("degraded", False, np.bool_),
        models=("m-1", "m-2"),
    )


def test_one_failure_in_an_hour_is_still_one_failure() -> None:
    hour = 3_600_000
    rows = [{"due": due} for due in range(0, hour, 500)] + [{"due": 1_234_567, "ok": False, "region": NOBODY}]
    grid = series.bins(0, hour * MS, 0)
    found = series.failed(requests(rows), grid)
    assert grid.shown <= 601
    assert found["reads"].max() == 1
    assert found["reads"].sum() == 1
    assert found["writes"].max() == 0


def test_what_recdr_never_sent_is_no_failure() -> None:
    rows = [{"due": 10}, {"due": 20, "ok": False, "sent": False, "region": NOBODY}]
    assert series.failed(requests(rows), series.bins(0, 1_000 * MS, 0))["reads"].sum() == 0


def test_one_slow_answer_in_an_hour_is_the_p99_of_its_point() -> None:
    hour = 3_600_000
    rows = [{"due": due} for due in range(0, hour, 50)] + [{"due": 1_234_567, "took": 900}]
    grid = series.bins(0, hour * MS, 0)
    took = series.latency_ms(requests(rows), grid)["primary"]
    assert np.nanmax(took.p99) == 900
    assert np.nanmax(took.p50) == 1
    assert np.isnan(took.slowest).all(), "its p99 says it already"


def test_one_slow_answer_among_so_many_that_no_p99_shows_it() -> None:
    rows = [{"due": due / 10} for due in range(20_000)] + [{"due": 1_234, "took": 900}]
    grid = series.bins(0, 2_000 * MS, 0)
    took = series.latency_ms(requests(rows), grid)["primary"]
    assert np.nanmax(took.p99) == 1
    assert took.slowest[~np.isnan(took.slowest)].tolist() == [900]


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_quantiles_are_numpys_nearest_rank_of_each_group(q: float) -> None:
    rng = np.random.default_rng(7)
    group, values = rng.integers(0, 20, 3_000), rng.exponential(size=3_000)
    found = series.quantile(group, values, q, 21)
    expected = [np.quantile(values[group == g], q, method="inverted_cdf") for g in range(20)]
    assert found[:20] == pytest.approx(expected)
    assert np.isnan(found[20])


def test_throughput_is_by_the_region_that_answered_and_by_arrival() -> None:
    rows = [{"due": 0, "took": 1_050, "region": 1}, {"due": 10}, {"due": 20, "ok": False}]
    found = series.answered(requests(rows), series.bins(0, 2_000 * MS, 0))
    assert found["primary"].tolist()[:2] == [10, 0]
    assert found["standby"].nonzero()[0].tolist() == [10]


def test_recall_is_held_against_the_same_users() -> None:
    rows = [{"due": 100 * i, "quality": True, "hits": i % 2, "expected": 1, "id": f"q{i}"} for i in range(40)]
    found = series.recall(requests(rows), series.bins(0, 4_000 * MS, 0), {f"q{i}": 1 for i in range(40)})
    assert found.value[-1] == pytest.approx(0.5)
    assert found.same_users is not None
    assert found.same_users[-1] == 1
    assert np.isnan(found.value[0]), "a window that is not half full shows only chance"


def test_recall_leaves_out_probes_that_nobody_answered() -> None:
    rows = [{"due": 100 * i, "quality": True, "hits": 1, "expected": 1, "id": "q0"} for i in range(30)]
    rows += [{"due": 100 * i, "quality": True, "ok": False, "id": "q0"} for i in range(30)]
    found = series.recall(requests(rows), series.bins(0, 3_000 * MS, 0), {})
    assert found.value[-1] == 1
    assert found.same_users is None


def test_the_table_starts_a_row_at_the_fault() -> None:
    rows = [{"due": 1_999}, {"due": 2_000, "ok": False}, {"due": 2_999, "ok": False, "write": True}]
    step, table = seconds.table(requests(rows), 500 * MS, 3_500 * MS, 2_000 * MS)
    assert step == 1
    by_start = {row.t_s: row for row in table}
    assert by_start[-1.0].answered == (1, 0)
    assert (by_start[0.0].failed_reads, by_start[0.0].failed_writes) == (1, 1)
    assert by_start[0.0].p50_ms is None


@pytest.mark.parametrize("start", [0, 37, 1_480, 1_500])
def test_no_point_holds_both_sides_of_the_fault(start: int) -> None:
    grid = series.bins(start * MS, 9_000 * MS, 1_500 * MS)
    for shown in (grid, grid.at_least(0.5)):
        assert np.isclose(shown.left_s, 0).sum() == 1
        assert shown.left_s[0] <= (start - 1_500) / 1_000 < shown.left_s[0] + shown.shown_s
        assert shown.left_s[-1] + shown.shown_s >= 7.5


def test_a_damaged_clock_does_not_ask_for_a_billion_bins() -> None:
    grid = series.bins(0, 2**62, 0)
    assert grid.fine < 100_000
    assert grid.of(np.array([2**62])).tolist() == [grid.fine - 1]
