"""What is told, in the words of the reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from drills.notify.happened import Happened
from drills.suite import Suite
from reports import cleaning

SUCCESS, FAILURE, WARNING, INFO = "success", "failure", "warning", "info"
_KIND = {"PASS": SUCCESS, "FAIL": FAILURE}
LONGEST = 3000
"""Characters of a message; a chat's limit is little above, and nobody reads more there."""
_MENTION = re.compile(r"@(?=everyone|here|channel|all\b)|(?<=<)(?=[@!#])", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """``kind``: success, failure, warning or info; ``attach``: the path of a file to go with it, where that can be."""

    title: str
    body: str
    kind: str
    attach: str | None = None


def of_drill(happened: Happened, link: str | None) -> Message:
    """One drill: what came of it, since when, what was measured, and where the report is."""
    title = f"{_headline(happened)}: {happened.title}"
    lines = [happened.sentence, "", *happened.figures]
    if happened.figures and happened.reasons:
        lines.append("")
    lines += [f"- {reason}" for reason in happened.reasons]
    lines += ["", *_unhealed(happened), *_foot(happened, link)]
    return Message(_plain(title), _body(lines), _kind(happened), happened.report)


def of_suite(suite: Suite, told: Sequence[Happened], link: str | None) -> Message:
    """A suite in one message: a line a drill of those that the reader is told of."""
    unhealed = [happened for happened in told if happened.unhealed]
    counts = ", ".join(f"{number} {name}" for name, number in suite.counts().items() if number)
    title = f"{'NOT HEALED: ' if unhealed else ''}{suite.outcome}: {len(suite.entries)} drills ({counts})"
    lines = [f"It ended early: {suite.stopped}", ""] if suite.stopped else []
    lines += [_line(happened) for happened in told]
    lines += ["", *(line for happened in unhealed for line in _unhealed(happened))]
    lines.append(f"Suite: {suite.id}, {suite.seconds / 60:.1f} minutes")
    lines += [f"Report: {link}"] if link else []
    kind = FAILURE if unhealed else _KIND.get(suite.outcome, WARNING)
    summary = suite.folder / "summary.md"
    return Message(_plain(title), _body(lines), kind, str(summary) if summary.is_file() else None)


def test() -> Message:
    """A message that says of itself that it is a trial."""
    title = "TEST: a message from recdr, no drill was run"
    body = "If you can read this, you will be told what comes of drills here. Nothing is broken."
    return Message(title, body, INFO)


def _headline(happened: Happened) -> str:
    was = f" (was {happened.before})" if happened.changed else ""
    return f"{'NOT HEALED, ' if happened.unhealed else ''}{happened.outcome}{was}"


def _kind(happened: Happened) -> str:
    return FAILURE if happened.unhealed else _KIND.get(happened.outcome, WARNING)


def _line(happened: Happened) -> str:
    why = "" if happened.outcome == "PASS" else f": {happened.sentence}"
    return f"{_headline(happened)}  {happened.drill}{why}"


def _unhealed(happened: Happened) -> list[str]:
    if not happened.unhealed:
        return []
    said = [f"STILL BROKEN, or never seen healed: {fault}" for fault in happened.unhealed]
    return [*said, f"Heal it now: recdr drill heal {happened.run}", ""]


def _foot(happened: Happened, link: str | None) -> list[str]:
    run = [f"Drill: {happened.drill}" + (f", run {happened.run}" if happened.run else "")]
    return [*run, f"Report: {link}"] if link else run


def _plain(line: str) -> str:
    """One line that shows as it is: no control character, and nobody is called by a name in it."""
    return _MENTION.sub(lambda found: found[0] + "\u2060", cleaning.text(line))


def _body(lines: Sequence[str]) -> str:
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(_plain(line) for line in lines)).strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
