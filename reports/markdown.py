"""``summary.md``: the run in one screen, for a CI job's summary page."""

from __future__ import annotations

from reports import findings, grounds, phases, plain, wording
from reports.facts import Facts, Measured
from reports.plain import escape as escape  # noqa: PLC0414 - suites and others call it by this module's name

ICONS = {"PASS": "✅", "FAIL": "❌", "UNKNOWN": "❔", "": ""}
_MOST_REASONS = 10
_MOST_FINDINGS = 4


def render(facts: Facts) -> str:
    """Verdict, objectives, reasons and where the report lies, as GitHub-flavoured Markdown."""
    lines = [
        f"## {ICONS[facts.outcome]} {facts.outcome}: {escape(facts.title)}",
        "",
        escape(wording.sentence(facts)),
        "",
    ]
    lines += _table(facts.objectives)
    lines += _warnings(facts)
    lines += ["**What is known**", "", *(f"- {escape(said)}" for said in facts.known), ""] if facts.known else []
    lines += _findings(facts)
    lines += _reasons(facts)
    lines += _grounds(facts)
    trials = wording.count(len(facts.trials), "trial")
    lines.append(f"{trials} · run {plain.code(facts.run)} · the full report is `report.html` in the run's directory.")
    return plain.fit(lines)


def marked(outcome: str) -> str:
    """The outcome with its mark, in one piece where a table is narrow."""
    return f"{ICONS.get(outcome, '')}\u00a0{outcome}".strip()


def _reasons(facts: Facts) -> list[str]:
    """What the sentence at the top does not say already."""
    more = [reason for reason in facts.reasons if reason.rstrip(".") not in wording.sentence(facts)]
    if not more:
        return []
    rest = [f"- and {len(more) - _MOST_REASONS} more, in the report"] if len(more) > _MOST_REASONS else []
    return ["**Reasons**", "", *(f"- {escape(reason)}" for reason in more[:_MOST_REASONS]), *rest, ""]


def _table(objectives: list[Measured]) -> list[str]:
    if not objectives:
        return []
    rows = ["| | Objective | Measured | Allowed | Margin | Baseline |", "|---|---|---:|---|---|---:|"]
    for m in objectives:
        precise = wording.precision(m)
        cells = (
            marked(m.outcome),
            f"{escape(wording.label(m.name))} {plain.code(m.name)}",
            escape(wording.measured(m) + (f" ({precise})" if precise else "")),
            escape(wording.objective(m)),
            escape(wording.margin(m)),
            "" if m.baseline is None else escape(wording.figure(m.baseline, m.unit)),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return [*rows, ""]


def _findings(facts: Facts) -> list[str]:
    """The most important findings, each with what to do; the report has all."""
    found = findings.find(facts)
    if not found:
        return []
    lines = ["**Findings**", ""]
    for finding in found[:_MOST_FINDINGS]:
        said = f"- {finding.severity.value}: **{escape(finding.title)}**."
        action = f"What to do: {finding.action}" if finding.action else ""
        lines.append(" ".join([said, *map(escape, filter(None, (finding.text, action)))]))
    rest = len(found) - _MOST_FINDINGS
    return [*lines, *([f"- and {rest} more, in the report"] if rest > 0 else []), ""]


def _grounds(facts: Facts) -> list[str]:
    """Phases against the configuration's bounds in the slowest trial, the measuring error and what is absent."""
    said = [phases.sentence(trial.phases) for trial in facts.trials]
    slower = [i for i, trial in enumerate(facts.trials) if any(p.slower for p in trial.phases)]
    shown = next(((i, said[i]) for i in [*slower, *range(len(said))] if said[i]), None)
    lines = []
    if shown is not None:
        where = f" ({escape(wording.trial_name(facts.trials[shown[0]]))})" if len(facts.trials) > 1 else ""
        lines.append(f"**Measured against modelled**{where}: {escape(shown[1])}")
    lines.append(f"**Measuring error**: {escape(grounds.calibrated(facts))}")
    if gaps := grounds.absent(facts):
        lines.append(f"**Absent, not zero**: {escape('; '.join(what for what, _ in gaps))}.")
    return [part for line in lines for part in (line, "")]


def _warnings(facts: Facts) -> list[str]:
    said = list(facts.missing)
    if facts.stopped and facts.judged:
        said.append(facts.stopped)
    if facts.synthetic:
        said.append("The model was trained on SYNTHETIC data: recall here says nothing about real interactions.")
    if warning := grounds.baseline_warning(facts):
        said.append(warning)
    if facts.simulated:
        said.append(f"SIMULATED: {', '.join(use.fault for use in facts.simulated)}: see the report.")
    return [line for warning in said for line in (f"> ⚠️ {escape(warning)}", "")]
