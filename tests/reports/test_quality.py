"""Who answered in which phase, with which model, and how good that was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reports import html, quality, reading
from reports.quality import Part


def test_each_region_of_each_phase_has_its_models_and_its_recall(passed: Path) -> None:
    facts = reading.read(passed)
    found = quality.parts(facts.trials[0], facts.baseline)
    assert [(p.phase, p.region) for p in found] == [
        ("before the fault", "primary"),
        ("during the fault", "standby"),
        ("after healing", "primary"),
        ("after healing", "standby"),
    ]
    assert list(found[0].models) == ["3f9a1c22b7de"]
    assert list(found[1].models) == ["3f9a1c22b7de", "0ld1c22b7de1"]
    assert sum(p.answers for p in found) == int(facts.trials[0].requests.ok.sum())
    assert found[0].degraded == 0
    assert 0 < found[1].degraded < found[1].answers
    assert found[1].recall is not None
    assert found[1].same_users is not None
    assert found[1].recall <= found[1].same_users


def test_no_baseline_leaves_its_column_empty(passed: Path) -> None:
    found = quality.parts(reading.read(passed).trials[0], {})
    assert all(p.same_users is None and p.recall is not None for p in found)


def test_the_page_says_which_models_answered(passed: Path) -> None:
    page = html.render(reading.read(passed))
    assert "Who answered, and how well" in page
    assert "0ld1c22b7de1 (" in page


def part(**changed: object) -> Part:
    whole = Part("during the fault", "standby", 10_000, 0, 0, None, None, {"m": 10_000})
    return dataclasses.replace(whole, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ({"m": 10_000}, "m"),
        ({}, "not said"),
        ({"m": 9_999, "n": 1}, "m (over 99.9 %), n (under 0.1 %)"),
        ({"m": 2_500}, "m (25 %)"),
        (dict.fromkeys("abcde", 2000), "a (20 %), b (20 %), c (20 %), d (20 %) and 1 more"),
    ],
)
def test_versions_in_words(models: dict[str, int], said: str) -> None:
    assert quality.versions(part(models=models)) == said


def test_some_degraded_answers_are_never_none() -> None:
    assert quality.degraded(part(degraded=1)) == "under 0.1 %"
    assert quality.degraded(part()) == "none"
