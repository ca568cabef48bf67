"""A few of the chaos test's cases, always the same; ``nox -s chaos`` runs sixty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.case import HOW, MOMENTS, SETTINGS, drawn
from tests.chaos.run import Place, perform

pytestmark = [pytest.mark.lab, pytest.mark.slow]
SEEDS = (4, 7, 9, 10)


def test_a_seed_always_means_the_same_and_sixty_cover_all_there_is() -> None:
    cases = [drawn(seed) for seed in range(1, 61)]
    assert cases == [drawn(seed) for seed in range(1, 61)]
    assert {case.setting for case in cases} == set(SETTINGS)
    assert {case.moment for case in cases} == set(MOMENTS)
    assert {case.how for case in cases} == set(HOW)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_left(seed: int, namespaces_allowed: None, bundle_path: Path, tmp_path: Path) -> None:
    place = Place(tmp_path)
    try:
        result = perform(drawn(seed), place)
    finally:
        place.close()
    assert result.left == [], result.words
