"""What the runs of each drill add up to: its last verdict, how steady its verdicts are, where its measures go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from drills.baseline.conditions import host_differences
from drills.history import Row
from reports import cleaning, verdicts
from reports.facts import Measured

CONSIDERED = 20
"""How many of a drill's latest runs its steadiness is counted over."""
DRAWN = 60
"""How many of a drill's latest runs a chart shows: more are not told apart at the size of a stamp."""


@dataclass(frozen=True)
class Run:
    """One row of the table of runs, safe to show; ``outcome`` is empty and ``problem`` says why without a verdict.

    ``report`` is where its report lies, relative to the page; empty where there is none.
    """

    name: str
    drill: str
    title: str
    outcome: str
    problem: str
    started_at: str
    trials: int | None
    measures: dict[str, Measured]
    report: str
    row: Row


@dataclass(frozen=True)
class Steadiness:
    """Verdicts of the latest comparable runs: UNKNOWN ones answer nothing and so are counted apart."""

    passed: int
    failed: int
    unknown: int
    changes: int
    """How often a PASS followed a FAIL, or a FAIL a PASS."""

    @property
    def judged(self) -> int:
        return self.passed + self.failed

    @property
    def share(self) -> float | None:
        """Share of PASS among the runs that answered the question; None where none did."""
        return self.passed / self.judged if self.judged else None


@dataclass(frozen=True)
class Course:
    """One measure over a drill's runs, the oldest first; None where a run has no such measure."""

    name: str
    runs: tuple[Run, ...]
    measured: tuple[Measured | None, ...]
    anew: tuple[bool, ...]
    """Whether the drill's file or the kind of host is another one than in the run before."""


@dataclass(frozen=True)
class DrillRuns:
    """All judged runs of one drill, the latest first."""

    file: str
    title: str
    runs: tuple[Run, ...]
    steadiness: Steadiness
    courses: tuple[Course, ...]

    @property
    def last(self) -> Run:
        return self.runs[0]


def run_of(row: Row, report: str) -> Run:
    """A row of the history, cleaned."""
    return Run(
        name=cleaning.text(row.run),
        drill=cleaning.text(row.drill or ""),
        title=cleaning.text(row.title or ""),
        outcome="" if row.problem else cleaning.outcome(row.outcome),
        problem=cleaning.text(row.problem or ""),
        started_at=cleaning.text(row.started_at or ""),
        trials=row.trials,
        measures={m.name: m for m in verdicts.measures(cleaning.tree(row.measures))},
        report=report,
        row=row,
    )


def by_drill(runs: Iterable[Run]) -> list[DrillRuns]:
    """The judged among ``runs`` (the latest first) by drill, in alphabetic order of their files."""
    files: dict[str, list[Run]] = {}
    for run in runs:
        if run.outcome:
            files.setdefault(run.drill or run.title or "not named", []).append(run)
    return [
        DrillRuns(file, found[0].title, tuple(found), steadiness(found), courses(found))
        for file, found in sorted(files.items())
    ]


def comparable(a: Run, b: Run) -> bool:
    """Whether two runs asked the same question on the same kind of host."""
    return a.row.drill_sha256 == b.row.drill_sha256 and not host_differences(a.row.host, b.row.host)


def steadiness(runs: Sequence[Run]) -> Steadiness:
    """How steady the verdicts are over the latest ``CONSIDERED`` runs that are comparable with the last one."""
    alike = [run for run in runs if comparable(run, runs[0])][:CONSIDERED]
    said = [run.outcome for run in alike if run.outcome != "UNKNOWN"]
    return Steadiness(
        passed=said.count("PASS"),
        failed=said.count("FAIL"),
        unknown=len(alike) - len(said),
        changes=sum(a != b for a, b in pairwise(said)),
    )


def courses(runs: Sequence[Run]) -> tuple[Course, ...]:
    """Each measure that the last run's objectives ask for, over the latest ``DRAWN`` runs."""
    drawn = tuple(reversed(runs[:DRAWN]))
    anew = (False, *(not comparable(a, b) for a, b in pairwise(drawn)))
    return tuple(Course(name, drawn, tuple(run.measures.get(name) for run in drawn), anew) for name in runs[0].measures)
