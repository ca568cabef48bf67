"""``report.html``: one file that opens offline, says what happened and lets every claim be checked.

The page carries its own styles and scripts. Its content security policy runs only the scripts whose hashes it
names, and lets nothing be fetched: whatever a run directory holds, nothing in it can execute or call home.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from reports import charts, cleaning, findings, grounds, phases, series, wording
from reports.charts import Drawing
from reports.facts import Facts, Measured, Trial
from reports.happenings import Mark
from reports.series import Second

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_EVENTS = 300
_LONGEST_DRILL = 60_000


@dataclass(frozen=True)
class Section:
    """A trial as its section of the page shows it; ``step_s`` is how many seconds a row of ``table`` has."""

    trial: Trial
    drawing: Drawing | None
    step_s: int
    table: list[Second]
    whole: tuple[float, float]
    close_up: tuple[float, float] | None
    open: bool


@dataclass(frozen=True)
class Row:
    """One line of a two-column table."""

    name: str
    value: str


def render(facts: Facts) -> str:
    """The whole page."""
    scripts = {"bokeh": charts.library(), "page": _asset("report.js").strip()}
    style = _asset("report.css").strip() + "\n" + _asset("findings.css").strip()
    page = _environment().get_template("report.html.j2")
    sentence = wording.sentence(facts)
    return (
        page.render(
            f=facts,
            sentence=sentence,
            findings=findings.find(facts),
            reasons=[reason for reason in facts.reasons if reason not in sentence],
            tiles=_tiles(facts),
            sections=_sections(facts),
            environment=_environment_rows(facts),
            model=_rows(facts.model),
            reproduce=_reproduce(facts),
            drill_yaml=_source(facts.drill_yaml),
            style=Markup(style),  # noqa: S704 - this package's own file
            scripts={name: Markup(script) for name, script in scripts.items()},  # noqa: S704 - Bokeh's and this package's own
            policy=_policy(list(scripts.values())),
        )
        + "\n"
    )


def _policy(scripts: list[str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    # Bokeh styles its shadow roots with style elements, and draws hatches through data: images.
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"w": wording, "ph": phases, "g": grounds}
    environment.filters["events"] = _event_rows
    environment.filters["steps"] = _steps
    environment.filters["by_phase"] = _by_phase
    environment.filters["rows"] = _rows
    environment.filters["judged_trial"] = _judged_trial
    environment.filters["first_note"] = _first_note
    environment.filters["overlap_regions"] = _overlap_regions
    environment.filters["raw_given"] = lambda rows: any(x and wording.raw(x) for row in rows for x in row.phases)
    environment.filters["json_document"] = Markup  # what charts.embeddable made
    return environment


def _sections(facts: Facts) -> list[Section]:
    """Every trial; the worst of them stands open."""
    rank = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    worst = min(facts.trials, key=lambda trial: (rank[trial.outcome], trial.number), default=None)
    return [_section(trial, facts.baseline, trial is worst) for trial in facts.trials]


def _section(trial: Trial, baseline: dict[str, Any], is_open: bool) -> Section:
    at = trial.clock
    step, table = series.table(trial.requests, at.start, at.end, at.zero) if len(trial.requests) else (1, [])
    return Section(
        trial=trial,
        drawing=charts.draw(trial, baseline),
        step_s=step,
        table=table,
        whole=(round(at.s(at.start), 3), round(at.s(at.end), 3)),
        close_up=_close_up(trial),
        open=is_open,
    )


def _close_up(trial: Trial) -> tuple[float, float] | None:
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


def _rows(data: dict[str, Any], prefix: str = "") -> list[Row]:
    """Nested settings as flat lines, ``a.b`` for what lies in ``a``."""
    out = []
    for key, value in data.items():
        name = f"{prefix}{cleaning.text(key)}".replace("_", " ")
        if isinstance(value, dict):
            out += _rows(value, f"{prefix}{cleaning.text(key)} · ")
        elif isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
            out.append(Row(name, ", ".join(cleaning.text(item) for item in value)))
        elif value is not None and value != "":
            out.append(Row(name, _plain(value)))
    return out


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return cleaning.text(value)


def _environment_rows(facts: Facts) -> dict[str, list[Row]]:
    meta = facts.meta
    parts = {
        "Host": meta.get("host"),
        "Accelerator": meta.get("accelerator"),
        "Target": {k: v for k, v in cleaning.mapping(meta.get("target")).items() if k != "reference"},
        "Topology": meta.get("topology"),
        "Seeds": meta.get("seeds"),
        "Versions": meta.get("versions"),
    }
    groups = {name: _rows(value if isinstance(value, dict) else {name.lower(): value}) for name, value in parts.items()}
    deployed = {k: v for k, v in facts.deployed.items() if k not in {"model", "data_source", "synthetic", "timers"}}
    groups["Deployed"] = _rows(deployed)
    groups["Timers of the configuration"] = _timers(cleaning.mapping(facts.deployed.get("timers")))
    groups["Service"] = _rows(cleaning.mapping(meta.get("service")))
    return {name: rows for name, rows in groups.items() if rows}


def _timers(raw: dict[str, Any]) -> list[Row]:
    """Each timer with its unit; what does not end in ``_s`` is a count."""
    timed = {cleaning.text(name): value for name, raw_ in raw.items() if (value := cleaning.number(raw_)) is not None}
    return [
        Row(name.removesuffix("_s").replace("_", " "), f"{value:g}{' s' if name.endswith('_s') else ''}")
        for name, value in timed.items()
    ]


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


def _event_rows(trial: Trial) -> list[tuple[float, str, str]]:
    return [
        (trial.clock.s(event.t), cleaning.text(event.kind), cleaning.text(cleaning.tree(event.data)))
        for event in trial.events[:_MOST_EVENTS]
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
