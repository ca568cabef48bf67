"""The account of writes on literal records whose right answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reports import writes
from reports.columns import Requests


def sent(*events: tuple[str, bool]) -> Requests:
    """Writes by id, each acknowledged by the primary or not."""
    n = len(events)
    zeros, nan = np.zeros(n, np.int64), np.full(n, np.nan)
    ok = np.array([acked for _, acked in events], dtype=np.bool_)
    yes, no = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    ids = pa.chunked_array([pa.array([event for event, _ in events])])
    return Requests(zeros, zeros, zeros, ok, yes, yes, no, zeros, nan, nan, ids, ("primary", "standby"), zeros, no, ())


BOTH = {"primary", "standby"}


def test_every_event_is_accounted_for() -> None:
    found = {"primary": {"a": 1, "b": 2, "x": 1}, "standby": {"a": 1, "d": 1}}
    account = writes.account(
        sent(("a", True), ("b", True), ("c", True), ("d", False), ("e", False)), found, BOTH, {}, set("abcde")
    )
    assert (account.sent, account.acknowledged, account.unacknowledged) == (5, 3, 2)
    assert (account.lost, account.lost_ids) == (2, ("b", "c")), "lost is what at least one region lacks"
    assert account.nowhere == 1
    assert (account.duplicated, account.recovered, account.unexpected) == (1, 1, 1)
    primary, standby = account.regions
    assert (primary.name, primary.acknowledged_here, primary.found, primary.missing) == ("primary", 3, 2, 1)
    assert (standby.found, standby.missing, standby.recovered) == (1, 2, 1)


def test_a_region_that_was_not_read_back_leaves_loss_unknown() -> None:
    account = writes.account(sent(("a", True)), {"primary": {}}, {"primary"}, {"standby": "it was down"}, {"a"})
    assert account.lost is None
    assert account.not_found == 1, "what the region that was read lacks"
    assert not account.read_back
    assert account.regions[1].why_not == "it was down"


def test_nothing_read_back_is_not_nothing_lost() -> None:
    assert writes.account(sent(("a", True)), {}, set(), {}, {"a"}).lost is None


def test_an_empty_log_that_was_read_means_all_is_lost() -> None:
    assert writes.account(sent(("a", True), ("b", True)), {}, BOTH, {}, {"a", "b"}).lost == 2


def test_events_of_earlier_trials_are_not_unexpected() -> None:
    found = {"primary": {"a": 1, "earlier": 1}, "standby": {"a": 1, "earlier": 1}}
    assert writes.account(sent(("a", True)), found, BOTH, {}, {"a", "earlier"}).unexpected == 0


def test_a_retry_that_was_acknowledged_counts_once() -> None:
    account = writes.account(sent(("a", False), ("a", True)), {"primary": {"a": 1}}, BOTH, {}, {"a"})
    assert (account.sent, account.acknowledged, account.unacknowledged, account.recovered) == (1, 1, 0, 0)


def test_the_oldest_lost_event_and_its_age_at_the_fault() -> None:
    requests = sent(("late", True), ("early", True), ("kept", True))
    requests = replace(requests, done=np.array([9_000_000_000, 4_000_000_000, 1_000_000_000]))
    account = writes.account(requests, {"primary": {"kept": 1}}, {"primary"}, {}, set(), injected=5_000_000_000)
    assert (account.oldest_lost, account.oldest_age_s) == ("early", 1.0)
    assert account.lost_ids == ("early", "late")


def test_an_event_acknowledged_after_the_fault_has_a_negative_age() -> None:
    requests = replace(sent(("a", True)), done=np.array([7_000_000_000]))
    assert writes.account(requests, {"primary": {}}, BOTH, {}, {"a"}, injected=5_000_000_000).oldest_age_s == -2.0


@pytest.mark.parametrize(
    "columns",
    [
        {"trial": ["one"], "region": ["primary"], "id": ["e1"], "count": [1]},
        {"trial": [1], "region": ["primary"], "id": ["e1"]},
    ],
)
def test_a_table_of_another_kind_is_damaged_and_no_crash(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    pq.write_table(pa.table(columns), tmp_path / "readback.parquet")
    with pytest.raises(pa.ArrowException):
        writes.read(tmp_path / "readback.parquet")


def test_each_regions_log_of_each_trial_is_kept_apart(tmp_path: Path) -> None:
    rows = [(2, "standby", "e3", 1), (1, "primary", "e1", 1), (2, "primary", "e3", 2), (1, "standby", "e1", 1)]
    rows += [(1, "primary", "e2", 3), (1, "primary", "e4", None), (None, "primary", "e9", 1), (1, None, "e9", 1)]
    columns = dict(zip(("trial", "region", "id", "count"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "readback.parquet")
    assert writes.read(tmp_path / "readback.parquet") == {
        1: {"primary": {"e1": 1, "e2": 3, "e4": 0}, "standby": {"e1": 1}},
        2: {"primary": {"e3": 2}, "standby": {"e3": 1}},
    }
