"""Real packets dropped, writers inside both regions: what each mode promises of the events that it acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.partition.split import Event, Found, deployed
from tests.recsvc.serving import tiny_bundle

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle.write(tmp_path / "bundle")


def cut_off(folder: Path, bundle: Path, mode: str, *kinds: str) -> list[Found]:
    with deployed(folder, bundle, mode) as split:
        return [split.cut(kind, 2.5, jitter_s=0.3) for kind in kinds]


def test_semisync_acknowledges_on_one_side_at_a_time_and_keeps_it_all(
    namespaces_allowed: None, tmp_path: Path, bundle: Path
) -> None:
    isolated, split = cut_off(tmp_path, bundle, "semisync", "isolated", "split")
    assert isolated.new_acknowledged > 0, "the standby took over"
    assert (isolated.old_after_cut, isolated.overlapping) == (0, 0)
    assert split.new_acknowledged == 0, "the witness sees both regions: nobody is promoted"
    assert split.alone > 0, "and the primary goes on alone"
    assert split.overlapping == 0
    assert [(each.lost, each.lost_besides) for each in (isolated, split)] == [(0, 0), (0, 0)]


def test_sync_acknowledges_on_no_side_and_keeps_it_all(namespaces_allowed: None, tmp_path: Path, bundle: Path) -> None:
    (found,) = cut_off(tmp_path, bundle, "sync", "isolated")
    assert (found.old_after_cut, found.alone, found.overlapping) == (0, 0, 0)
    assert (found.lost, found.lost_besides) == (0, 0)


def test_async_acknowledges_on_both_sides_and_loses_what_the_old_one_took(
    namespaces_allowed: None, tmp_path: Path, bundle: Path
) -> None:
    """What it is told to do; and the proof that the others' zeros are no blindness of this test."""
    (found,) = cut_off(tmp_path, bundle, "async", "isolated")
    assert found.old_last_s is not None
    assert found.old_last_s > found.held_s - 0.5, "as long as the cut lasts"
    assert found.overlapping > 0
    assert found.lost > 0


def test_an_event_is_acknowledged_by_a_200_alone() -> None:
    assert [Event("x", 0, 1, status, None).acknowledged for status in (0, 200, 503)] == [False, True, False]
