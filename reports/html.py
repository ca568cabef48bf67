"""``report.html``: one file that opens offline, says what happened and lets every claim be checked."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from drills.recording.record import Event
from reports import (
    charts,
    cleaning,
    environment,
    findings,
    grounds,
    multiples,
    page,
    phases,
    quality,
    samples,
    seconds,
    wording,
)
from reports.charts import Drawing
from reports.facts import Facts, Measured, Trial
from reports.happenings import Clock, Mark
from reports.seconds import Second

_MOST_EVENTS = 300
_LONGEST_DRILL = 60_000


@dataclass(frozen=True)
class Section:
    """A trial as its section of the page shows it; ``step_s`` is how many seconds a row of ``table`` has."""

    trial: Trial
    drawing: Drawing | None
    step_s: int
    table: list[Second]
    quality: list[quality.Part]
    whole: tuple[float, float]
    close_up: tuple[float, float] | None
    open: bool


def render(facts: Facts) -> str:
    """The whole page."""
    scripts = {"bokeh": charts.library(), "page": page.asset("report.js").strip()}
    template = _environment().get_template("report.html.j2")
    sentence = wording.sentence(facts)
    return (
        template.render(
            f=facts,
            sentence=sentence,
            findings=findings.find(facts),
            reasons=[reason for reason in facts.reasons if reason not in sentence],
            tiles=_tiles(facts),
            sections=_sections(facts),
            small=multiples.multiples(facts.trials),
            environment=environment.of_run(facts),
            model=environment.rows(facts.model),
            reproduce=_reproduce(facts),
            drill_yaml=_source(facts.drill_yaml),
            **page.shell(scripts, ("report.css", "findings.css")),
        )
        + "\n"
    )


@cache
def _environment() -> jinja2.Environment:
    templates = page.environment()
    templates.globals |= {"w": wording, "ph": phases, "g": grounds, "q": quality, "mu": multiples}
    templates.filters["told"] = _told
    templates.filters["events"] = _event_rows
    templates.filters["steps"] = _steps
    templates.filters["by_phase"] = _by_phase
    templates.filters["rows"] = environment.rows
    templates.filters["judged_trial"] = _judged_trial
    templates.filters["first_note"] = _first_note
    templates.filters["overlap_regions"] = _overlap_regions
    templates.filters["raw_given"] = lambda rows: any(x and wording.raw(x) for row in rows for x in row.phases)
    templates.filters["json_document"] = Markup  # what charts.embeddable made
    return templates


def _sections(facts: Facts) -> list[Section]:
    """Every trial; the worst of them stands open."""
    rank = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    worst = min(facts.trials, key=lambda trial: (rank[trial.outcome], trial.number), default=None)
    return [_section(trial, facts.baseline, trial is worst) for trial in facts.trials]


def _section(trial: Trial, baseline: dict[str, Any], is_open: bool) -> Section:
    at = trial.clock
    step, table = seconds.table(trial.requests, at.start, at.end, at.zero) if len(trial.requests) else (1, [])
    return Section(
        trial=trial,
        drawing=charts.draw(trial, baseline),
        step_s=step,
        table=table,
        quality=quality.parts(trial, baseline),
        whole=(round(at.s(at.start), 3), round(at.s(at.end), 3)),
        close_up=close_up(trial),
        open=is_open,
    )


def close_up(trial: Trial) -> tuple[float, float] | None:
    """Seconds that show the failover and little else; None where there is none, or nothing but that."""
    at = trial.clock
    hurt = [m.value for m in trial.measures if m.name.startswith("rto_") and m.value and m.unit == "s"]
    moments = [m.t_s for m in trial.marks if m.key not in {"heal", "healed", "heal_confirmed", "failed_back"}]
    until = max([*moments, *hurt], default=0.0)
    end = min(1.5 * until + 0.5, at.s(at.end))
    return (round(max(-0.5, at.s(at.start)), 3), round(end, 3)) if 0 < until < 0.5 * at.s(at.end) else None


def _tiles(facts: Facts) -> list[Measured]:
    """The figures a reader asks for first, each as it was judged, recall among them."""
    recall = next((m.base for m in facts.measures if m.name.startswith("recall_at_")), "")
    wanted = ("rto_read_s", "rto_write_s", "rpo_events", recall, "availability")
    found = [[m for m in facts.measures if m.base == name] for name in wanted]
    return [next((m for m in same if m.objective), same[0]) for same in found if same]


@dataclass(frozen=True)
class ByPhase:
    """One measure in each phase, in the order of ``_PHASES``."""

    name: str
    phases: list[Measured | None]


_PHASES = ("before", "during", "after")


def _by_phase(trial: Trial) -> list[ByPhase]:
    """The measures that the verdict took phase by phase."""
    names = dict.fromkeys(m.base for m in trial.measures if m.name != m.base)
    return [ByPhase(name, [trial.measure(f"{name}@{phase}") for phase in _PHASES]) for name in names]


def _judged_trial(m: Measured, trials: list[Trial]) -> int | None:
    """The trial whose figure an objective was held against: the first that has the verdict's; None without one."""
    if not m.objective:
        return None
    same = (t.number for t in trials if (x := t.measure(m.name)) and (x.value, x.outcome) == (m.value, m.outcome))
    return next(same, None)


def _first_note(measures: list[Measured]) -> str:
    """Why there is no interval, where one measure says so."""
    return next((m.over_trials.note for m in measures if m.over_trials and m.over_trials.note), "")


def _overlap_regions(found: list[grounds.Overlap]) -> list[str]:
    names = {name for o in found for name in o.by_region}
    return sorted(names, key=lambda name: (name.startswith("model "), name != "primary", name))


def _reproduce(facts: Facts) -> list[tuple[str, str]]:
    """Commands with what each is for."""
    seeds = facts.meta.get("seeds")
    seed = next(iter(seeds.values()), None) if isinstance(seeds, dict) else seeds
    if isinstance(seeds, dict):
        seed = seeds.get("run", seeds.get("seed", seed))
    file = shlex.quote(facts.file)
    again = f"recdr drill run {file}" + (f" --seed {seed}" if isinstance(seed, int) else "")
    given = facts.meta.get("command")
    command = " ".join(cleaning.text(part) for part in given) if isinstance(given, list) else cleaning.text(given)
    commands = [("Run the drill again, with the same random choices", again)]
    if command and command != again:
        commands.append(("The command of this run", command))
    commands.append(
        (
            "Judge this run's record again: the same verdict, on any machine",
            f"recdr drill judge {shlex.quote(facts.run)}",
        )
    )
    return commands


def _source(drill: str) -> str:
    """The drill file with its lines kept."""
    cut = drill[:_LONGEST_DRILL]
    return "\n".join(cleaning.text(line) for line in cut.splitlines())


def _told(trial: Trial) -> list[Event]:
    """The events that say what happened; samples of how things were are in the charts."""
    return [event for event in trial.events if event.kind != samples.KIND]


def _event_rows(events: list[Event], at: Clock) -> list[tuple[float, str, str]]:
    return [
        (at.s(event.t), cleaning.text(event.kind), cleaning.text(cleaning.tree(event.data)))
        for event in events[:_MOST_EVENTS]
    ]


@dataclass(frozen=True)
class Step:
    """A mark with its bar: from the moment before to its own, in percent of its part of the drill."""

    mark: Mark
    left: float
    width: float


def _steps(trial: Trial) -> list[tuple[str, list[Step]]]:
    """The marks as two waterfalls, failing over and healing, each on its own scale: one lasts far longer."""
    marks = trial.marks
    heal = next((i for i, mark in enumerate(marks) if mark.key in {"heal", "healed"}), len(marks))
    parts = [
        ("Failing over", marks[:heal], 0.0),
        ("Healing", marks[heal:], marks[heal].t_s if heal < len(marks) else 0.0),
    ]
    return [(name, _waterfall(part, zero)) for name, part, zero in parts if part]


def _waterfall(marks: list[Mark], zero: float) -> list[Step]:
    span = max(marks[-1].t_s - zero, 1e-9)
    ends = [round(100 * (mark.t_s - zero) / span, 2) for mark in marks]
    return [Step(mark, left, round(end - left, 2)) for mark, left, end in zip(marks, [0.0, *ends], ends, strict=False)]
