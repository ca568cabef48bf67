"""Annotations as GitHub's runner reads them: at the right line, whole, and none that somebody else wrote."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reports import github
from reports.github import Place
from tests.reports.fakerun import verdict
from tests.reports.test_hostile import LONG, PLANTED

COMMAND = re.compile(r"::(?P<name>[a-z-]+)(?: (?P<properties>[^:]*))?::(?P<data>.*)")
PLACE = Place("experiments/failover.yaml", {"rto_read_s": 41, "rpo_events": 43})


def unescaped(value: str) -> str:
    for code, char in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        value = value.replace(code, char)
    return value


def read(line: str) -> dict[str, str]:
    """A command as the runner takes it apart."""
    found = COMMAND.fullmatch(line)
    assert found is not None, line
    pairs = (pair.partition("=") for pair in (found["properties"] or "").split(",") if pair)
    properties = {key: unescaped(value) for key, _, value in pairs}
    return {"command": found["name"], "text": unescaped(found["data"]), **properties}


def commands(document: dict[str, Any], place: Place = PLACE) -> list[dict[str, str]]:
    return [read(line) for line in github.commands(github.of_verdict(document, "failover.yaml", place))]


def crafted(outcome: str = "PASS", **measures: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": outcome, "run": "run-1", "reasons": ["Because."], "measures": measures}


def measure(value: float | None, outcome: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": "s", "objective": {"max": 1.0}, "outcome": outcome, **more}


def test_a_missed_objective_is_an_error_at_its_line() -> None:
    (missed,) = commands(verdict("20261122-013000-failover", 1, "FAIL", 0))
    assert missed["command"] == "error"
    assert (missed["file"], missed["line"]) == ("experiments/failover.yaml", "41")
    assert missed["title"] == "failover.yaml: Reads disturbed"
    assert missed["text"].startswith("0.40 s, at most 0.001 s. ")
    assert missed["text"].endswith(" (run 20261122-013000-failover)")


def test_what_was_not_observed_is_a_warning_with_the_reason() -> None:
    (unknown,) = commands(crafted("UNKNOWN", rpo_events=measure(None, "UNKNOWN", reason="Never read back.")))
    assert (unknown["command"], unknown["line"]) == ("warning", "43")
    assert "not observed, at most 1 s. Never read back." in unknown["text"]


def test_a_verdict_that_no_objective_explains_stands_at_the_top_of_the_file() -> None:
    document = crafted("UNKNOWN", rto_read_s=measure(0.2, "PASS"))
    (whole,) = commands(document)
    assert (whole["command"], whole["line"], whole["text"]) == ("warning", "1", "Because.")
    assert [one["command"] for one in commands({**document, "outcome": "FAIL"})] == ["error"]


@pytest.mark.parametrize(
    ("value", "objective", "told"),
    [
        (0.95, {"max": 1.0}, True),
        (0.5, {"max": 1.0}, False),
        (0, {"max": 0}, False),
        (0.99, {"min": 0.98}, False),
    ],
)
def test_only_a_thin_margin_is_worth_a_notice(value: float, objective: dict[str, float], told: bool) -> None:
    found = commands(crafted(rto_read_s=measure(value, "PASS", objective=objective)))
    assert [one["command"] for one in found] == ["notice"] * told


def test_a_drill_that_is_not_in_the_repository_has_no_line() -> None:
    (missed,) = commands(crafted("FAIL", rto_read_s=measure(2, "FAIL")), Place())
    assert "file" not in missed
    assert "line" not in missed


def test_no_more_than_github_shows_and_the_last_says_so() -> None:
    document = crafted("FAIL", **{f"recall_at_{k}": measure(2, "FAIL") for k in range(1, 31)})
    found = commands(document)
    assert len(found) == github.MOST
    assert found[-1]["text"].startswith("and 21 more")
    ten = crafted("FAIL", **{f"recall_at_{k}": measure(2, "FAIL") for k in range(1, 11)})
    assert "more" not in commands(ten)[-1]["text"]


def test_hostile_text_is_one_line_and_one_command() -> None:
    evil = f"x\n::error::planted\r##[error]planted%0A::add-mask::a,b:c{PLANTED}"
    measures = {LONG: measure(2, "FAIL", reason=evil, unit=evil), evil: measure(None, "UNKNOWN", reason=LONG)}
    document = {"outcome": "FAIL", "run": evil, "reasons": [evil], "measures": measures}
    place = Place("a,b:c\n::error::%.yaml", {})
    lines = list(github.commands(github.of_verdict(document, evil, place)))
    assert [line.splitlines() for line in lines] == [[line] for line in lines]
    found = [read(line) for line in lines]
    assert [one["command"] for one in found] == ["error", "warning"]
    assert {one["file"] for one in found} == {"a,b:c ::error::%.yaml"}
    assert all(set(one) == {"command", "text", "file", "title"} for one in found)
    assert "%0A" in found[0]["text"], "what looked escaped is shown as it was written"
