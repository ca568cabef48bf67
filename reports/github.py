"""What GitHub shows beside a pull request's lines: an annotation for each objective that was not met.

FAIL is an error, UNKNOWN a warning, and an objective that was met with little room a notice. An annotation is one line
of output that begins with ``::``; everything in it is escaped, so that none can begin another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reports import cleaning, verdicts, wording
from reports.facts import Measured
from reports.findings.finding import THIN, share_left

ERROR, WARNING, NOTICE = "error", "warning", "notice"
MOST = 10
"""GitHub shows so many of each kind for a step, and drops the rest without a word."""
_LEVELS = {"FAIL": ERROR, "UNKNOWN": WARNING}


@dataclass(frozen=True)
class Place:
    """A drill's file as the repository has it, and the line of each objective in it; empty where it has none."""

    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotation:
    """``file`` is empty and ``line`` None where it is about no line of the repository."""

    level: str
    title: str
    text: str
    file: str = ""
    line: int | None = None

    def command(self) -> str:
        """GitHub's workflow command for it, in one line."""
        place = {"file": self.file, "line": str(self.line) if self.file and self.line else "", "title": self.title}
        listed = ",".join(f"{key}={_property(value)}" for key, value in place.items() if value)
        return f"::{self.level} {listed}::{_data(cleaning.text(self.text))}"


def of_verdict(document: Mapping[str, Any], drill: str, place: Place) -> list[Annotation]:
    """What a run's ``verdict.json`` is worth saying; nothing where every objective was met with room to spare."""
    name = cleaning.text(drill)
    asked = [m for m in verdicts.measures(document.get("measures")) if m.objective]
    found = [one for m in asked if (one := _of_objective(m, name, place, cleaning.text(document.get("run"))))]
    outcome = cleaning.outcome(document.get("outcome"))
    if outcome == "PASS" or _LEVELS[outcome] in {one.level for one in found}:
        return found
    reasons = [cleaning.text(reason) for reason in cleaning.sequence(document.get("reasons"))]
    whole = Annotation(_LEVELS[outcome], f"{name}: {outcome}", " ".join(reasons) or "no reason was recorded")
    return [Annotation(whole.level, whole.title, whole.text, place.file, 1 if place.file else None), *found]


def _of_objective(m: Measured, drill: str, place: Place, run: str) -> Annotation | None:
    said = f"{wording.measured(m)}, {wording.objective(m)}"
    level = _LEVELS.get(m.outcome)
    if level is None and m.outcome == "PASS" and _thin(m):
        level = NOTICE
    if level is None:
        return None
    more = m.reason or wording.margin(m)
    text = f"{said}{f'. {more}' if more else ''} (run {run})" if run else f"{said}. {more}"
    return Annotation(level, f"{drill}: {wording.label(m.name)}", text, place.file, place.lines.get(m.base))


def _thin(m: Measured) -> bool:
    """Whether little of what was allowed is left, as the report's findings have it; 0 of 0 is as good as it can be."""
    left = share_left(m)
    return left is not None and left < THIN


def of_entry(entry: Mapping[str, Any], place: Place) -> list[Annotation]:
    """A drill of a suite that was not judged; nothing where it was skipped or not reached."""
    if not entry.get("outcome"):
        return []
    reasons = [cleaning.text(reason) for reason in cleaning.sequence(entry.get("reasons"))]
    title = f"{cleaning.text(entry.get('drill'))}: {cleaning.outcome(entry.get('outcome'))}"
    return [Annotation(WARNING, title, " ".join(reasons), place.file, 1 if place.file else None)]


def commands(annotations: Iterable[Annotation]) -> Iterator[str]:
    """The lines to print: of each level no more than are shown, the last of which says how many are left out."""
    listed = list(annotations)
    for level in (ERROR, WARNING, NOTICE):
        own = [one for one in listed if one.level == level]
        kept = own if len(own) <= MOST else own[: MOST - 1]
        yield from (one.command() for one in kept)
        if left := len(own) - len(kept):
            yield Annotation(level, "recdr", f"and {left} more, in the summary and in junit.xml").command()


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(cleaning.text(value)).replace(":", "%3A").replace(",", "%2C")
