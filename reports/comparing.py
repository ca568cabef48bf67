"""Two runs side by side: verdicts, measures, whether differences are real, timelines, phases, and what else differs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from statistics import median

import jinja2
from markupsafe import Markup

from drills.compare import Compared, Comparison, Finding
from reports import charts, cleaning, environment, html, page, wording
from reports.charts import Chart, pair
from reports.facts import Facts, Measured, Trial
from reports.happenings import MARK_LABELS

_LONGEST_DRILL = 60_000
_MOST_LINES = 2_000
_BY_CHANCE = {"edge port", "ops port", "edge url", "pid one", "deploy seconds", "earlier runs"}
"""What differs from one deployment to the next and means nothing."""
_RANK = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}


@dataclass(frozen=True)
class Side:
    """One of the two runs; ``report`` is where its report lies, relative to the page, empty where there is none."""

    letter: str
    facts: Facts
    report: str


@dataclass(frozen=True)
class Line:
    """One measure of both runs as each verdict has it, with what the comparison says of it."""

    name: str
    a: Measured | None
    b: Measured | None
    tested: Compared
    difference: str


@dataclass(frozen=True)
class Moment:
    """One moment of the failover in all trials of both runs, in seconds after the fault."""

    label: str
    a: str
    b: str
    difference: str


@dataclass(frozen=True)
class Pair:
    """Trials of one kind: the worst of each run drawn above each other, and the moments of all of them."""

    variant: str
    trials: dict[str, Trial]
    document: str
    charts: tuple[Chart, ...]
    whole: tuple[float, float]
    close_up: tuple[float, float] | None
    moments: list[Moment]


@dataclass(frozen=True)
class Setting:
    """One line of the environment in both runs."""

    name: str
    a: str
    b: str

    @property
    def differs(self) -> bool:
        return self.a != self.b


def render(a: Facts, b: Facts, result: Comparison, warnings: Iterable[str], links: tuple[str, str]) -> str:
    """The whole page; ``links`` are the reports of A and B, relative to it."""
    scripts = {"bokeh": charts.library(), "page": page.asset("report.js").strip()}
    lines = _lines(a, b, result)
    groups = _settings(a, b)
    return (
        _environment()
        .get_template("compare.html.j2")
        .render(
            sides=(Side("A", a, links[0]), Side("B", b, links[1])),
            result=result,
            warnings=[cleaning.text(warning) for warning in warnings],
            tested=[line for line in lines if line.tested.finding is not Finding.NOT_TESTED],
            rest=[line for line in lines if line.tested.finding is Finding.NOT_TESTED],
            too_few=min(len(a.trials), len(b.trials)) < result.needed,
            pairs=_pairs(a, b),
            drill_diff=_drill_diff(a, b),
            differing={name: found for name, rows in groups.items() if (found := [r for r in rows if r.differs])},
            same={name: found for name, rows in groups.items() if (found := [r for r in rows if not r.differs])},
            **page.shell(scripts, ("report.css", "compare.css")),
        )
        + "\n"
    )


@cache
def _environment() -> jinja2.Environment:
    templates = page.environment()
    templates.globals |= {"w": wording}
    templates.filters["json_document"] = Markup  # what charts.embeddable made
    templates.filters["tone"] = lambda line: (
        "" if not line else {"+": "added", "-": "gone", "@": "place"}.get(line[0], "")
    )
    return templates


def _lines(a: Facts, b: Facts, result: Comparison) -> list[Line]:
    """Every measure of either run, the tested ones in the order of the comparison."""
    sides = [{m.name: m for m in facts.measures} for facts in (a, b)]
    out = []
    for tested in result.measures:
        ours = [side.get(cleaning.text(tested.name)) for side in sides]
        out.append(Line(cleaning.text(tested.name), ours[0], ours[1], tested, _difference(ours[0], ours[1])))
    return out


def _difference(a: Measured | None, b: Measured | None) -> str:
    """B's figure less A's, as each verdict has it; empty where one is not known exactly."""
    if a is None or b is None or a.value is None or b.value is None:
        return ""
    if a.censored or b.censored or a.possible or b.possible:
        return ""
    return signed(b.value - a.value, b.unit, b.resolution)


def signed(value: float, unit: str, resolution: float | None = None) -> str:
    """A difference with its sign; of a ratio with as many digits as it takes to see it."""
    shown = wording.figure(abs(value), "" if unit == "ratio" else unit, resolution if value else None)
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{shown}"


def _pairs(a: Facts, b: Facts) -> list[Pair]:
    variants = dict.fromkeys(trial.variant for facts in (a, b) for trial in facts.trials)
    return [_pair(variant, a, b) for variant in variants]


def _pair(variant: str, a: Facts, b: Facts) -> Pair:
    of_kind = {
        letter: [trial for trial in facts.trials if trial.variant == variant] for letter, facts in (("A", a), ("B", b))
    }
    chosen = {letter: min(own, key=_worst_first) for letter, own in of_kind.items() if own}
    document, drawn = pair.draw(chosen)
    clocks = [trial.clock for trial in chosen.values()]
    close = [near for trial in chosen.values() if (near := html.close_up(trial))]
    return Pair(
        variant=variant,
        trials=chosen,
        document=document,
        charts=drawn,
        whole=(round(min(at.s(at.start) for at in clocks), 3), round(max(at.s(at.end) for at in clocks), 3)),
        close_up=(min(near[0] for near in close), max(near[1] for near in close)) if close else None,
        moments=_moments(of_kind["A"], of_kind["B"]),
    )


def _worst_first(trial: Trial) -> tuple[int, int]:
    return _RANK[trial.outcome], trial.number


def _moments(a: list[Trial], b: list[Trial]) -> list[Moment]:
    """Each moment that any trial saw, with the median of those that did."""
    out = []
    for key, label in MARK_LABELS.items():
        seen = [[mark.t_s for trial in own for mark in trial.marks if mark.key == key] for own in (a, b)]
        if key == "injected" or not any(seen):
            continue
        middles = [median(found) if found else None for found in seen]
        known = middles[0] is not None and middles[1] is not None
        difference = signed((middles[1] or 0.0) - (middles[0] or 0.0), "s", 0.01) if known else ""
        out.append(Moment(label, _moment(seen[0], len(a)), _moment(seen[1], len(b)), difference))
    return out


def _moment(found: list[float], trials: int) -> str:
    """The median, the range over trials, and in how many it was seen where not in all."""
    if not found:
        return "not observed"
    said = f"{median(found):.2f} s"
    if len(found) > 1:
        said += f" ({min(found):.2f} to {max(found):.2f})"
    return said if len(found) == trials else f"{said}, in {len(found)} of {trials} trials"


def _drill_diff(a: Facts, b: Facts) -> list[str]:
    """What differs between the drill files as a unified diff; empty where they are the same."""
    old, new = ([cleaning.text(line) for line in facts.drill_yaml[:_LONGEST_DRILL].splitlines()] for facts in (a, b))
    found = difflib.unified_diff(old, new, f"A: {a.file} of {a.run}", f"B: {b.file} of {b.run}", lineterm="", n=3)
    return list(found)[:_MOST_LINES]


def _settings(a: Facts, b: Facts) -> dict[str, list[Setting]]:
    """The environments of both runs, line by line; what only one states is empty in the other."""
    sides = [{"Model and data": environment.rows(facts.model), **environment.of_run(facts)} for facts in (a, b)]
    out = {}
    for group in dict.fromkeys([*sides[0], *sides[1]]):
        ours = [{row.name: row.value for row in side.get(group, [])} for side in sides]
        names = [name for name in dict.fromkeys([*ours[0], *ours[1]]) if name not in _BY_CHANCE]
        out[group] = [Setting(name, ours[0].get(name, ""), ours[1].get(name, "")) for name in names]
    return out
