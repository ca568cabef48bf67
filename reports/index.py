"""The page over all runs: of each drill the last verdict, how steady it is, and where its measures go.

Read from each run's ``meta.json`` and ``verdict.json`` alone, so that a folder of hundreds takes a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import jinja2

from drills.history import Row
from reports import page, stamps, trends, wording
from reports.trends import DrillRuns, Run


def render(rows: Iterable[tuple[Path, Row]], out: Path, title: str = "All runs") -> str:
    """The page at ``out`` over the runs in the given directories, the latest first."""
    runs = [trends.run_of(row, page.link(path, out)) for path, row in rows]
    drills = trends.by_drill(runs)
    scripts = {"theme": page.asset("theme.js").strip(), "page": page.asset("index.js").strip()}
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            title=title,
            runs=runs,
            drills=drills,
            judged=[run for run in runs if run.outcome],
            broken=[run for run in runs if not run.outcome],
            considered=trends.CONSIDERED,
            drawn=trends.DRAWN,
            **page.shell(scripts, ("report.css", "index.css")),
        )
        + "\n"
    )


@cache
def _environment() -> jinja2.Environment:
    templates = page.environment()
    templates.globals |= {"w": wording, "stamps": stamps}
    templates.filters["steadiness"] = in_words
    templates.filters["stamp"] = stamps.stamp
    templates.filters["figures"] = _figures
    templates.tests["worth_a_look"] = _needs_a_look
    return templates


def in_words(drill: DrillRuns) -> str:
    """How steady the drill's verdicts are."""
    s = drill.steadiness
    if not s.judged:
        return f"none of the last {wording.count(s.unknown, 'comparable run')} answered the question"
    said = f"{s.passed} of {s.judged} passed"
    if s.changes:
        said += f", the verdict changed {wording.count(s.changes, 'time')}"
    return said + (f"; {s.unknown} more UNKNOWN" if s.unknown else "")


def _figures(run: Run) -> str:
    """What was missed or not observed, and how much was met."""
    met = [m for m in run.measures.values() if m.outcome == "PASS"]
    rest = [m for m in run.measures.values() if m.outcome != "PASS"]
    said = [f"{wording.label(m.name)}: {wording.measured(m)} ({m.outcome or 'not judged'})" for m in rest]
    return "; ".join([*said, *([f"{len(met)} met"] if met else [])])


def _needs_a_look(drill: DrillRuns) -> bool:
    """Whether its last run did not pass, or its verdict does not stay the same."""
    return drill.last.outcome != "PASS" or drill.steadiness.changes > 0
