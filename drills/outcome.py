"""What can be said about a measure, a trial or a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from drills.measures import Measure
from drills.spec import Objective


class Outcome(StrEnum):
    """What can be said about a run, a trial, or a measure."""

    PASS = "PASS"  # noqa: S105 - the word of a verdict, no password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Judged:
    """A measure with its objective; ``outcome`` None where no objective asks for it."""

    measure: Measure
    objective: Objective | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    """Why the outcome is not PASS, as one sentence."""


def rank(outcome: Outcome | None) -> int:
    """How bad an outcome is: a violation before an unknown before anything met or not asked for."""
    return {Outcome.UNKNOWN: 1, Outcome.FAIL: 2}.get(outcome, 0) if outcome else 0


def worst_of(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of some outcomes; of none at all UNKNOWN."""
    return max(outcomes, key=rank, default=Outcome.UNKNOWN)
