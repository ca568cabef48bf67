"""The first version of ``postmortem.yaml``: what the record says already, and what people are asked to add."""

from __future__ import annotations

import json
import textwrap

import yaml

from reports import cleaning, findings, postmortem, story
from reports.facts import Facts
from reports.findings import Finding, Severity

_WIDTH = 100
_TROUBLE = {Severity.MISSED, Severity.OPEN, Severity.UNASKED, Severity.CLOSE}

_HEAD = """\
# Post-mortem of run {run}.
#
# What recdr knows of the run is filled in below; correct it, and add what only people know. Everything may stay empty.
# recdr never changes this file. To see it in the report: recdr report postmortem {run}
# Write about what made the failure possible, not about who made a mistake.

status: draft        # {statuses}
authors: []          # who wrote this: [Ada, Grace]
date:                # when it was written, year-month-day: 2026-12-01

# Who was hurt, how, and for how long? In a drill: who would have been?
"""
_FACTORS = """
# What made it possible, or worse, or longer? Several things usually did.
contributing_factors:
"""
_WELL = """
# What kept the harm small, and should stay as it is?
went_well:
"""
_ACTIONS = """
# What will be done so that the next time is better: each with one owner and a day.
actions:
"""
_TAIL = """
# Anything else: a timeline of what people did, open questions, where the discussion was.
notes:
"""


def draft(facts: Facts) -> str:
    """The file's text, filled in from the run's own facts."""
    found = findings.find(facts)
    impact = story.told(facts) if facts.judged else ""
    factors = [_sentence(finding) for finding in found if finding.severity in _TROUBLE]
    well = [_sentence(finding) for finding in found if finding.severity is Severity.WELL]
    return "".join(
        [
            _HEAD.format(run=_plain(facts.run), statuses=" | ".join(postmortem.STATUS)),
            _block("impact", impact),
            _FACTORS,
            _items(factors),
            _WELL,
            _items(well),
            _ACTIONS,
            *(_action(finding.action) for finding in found if finding.action),
            _action(""),
            _TAIL,
        ]
    )


def _plain(run: str) -> str:
    """A run's name on one line of a comment."""
    return cleaning.text(run)


def _sentence(finding: Finding) -> str:
    return f"{finding.title}. {finding.text}".strip()


def _block(key: str, text: str) -> str:
    """A key with a text that is easy to edit: folded lines below it."""
    if not text.strip():
        return f"{key}:\n"
    lines = textwrap.wrap(text.strip(), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"{key}: >-\n" + "".join(f"  {line}\n" for line in lines)


def _items(texts: list[str]) -> str:
    """List items, each folded; an empty one where there are none."""
    if not texts:
        return "  -\n"
    wrapped = (textwrap.wrap(t.strip(), _WIDTH, break_long_words=False, break_on_hyphens=False) for t in texts)
    return "".join("  - >-\n" + "".join(f"    {line}\n" for line in lines) for lines in wrapped)


def _action(what: str) -> str:
    status = f"open     # {' | '.join(postmortem.ACTION_STATUS)}"
    said = f" {_scalar(what)}" if what else ""
    link = "           # https://... of the issue"
    due = "            # 2026-12-01"
    return f"  - what:{said}\n    owner:\n    due:{due}\n    status: {status}\n    link:{link}\n"


def _scalar(text: str) -> str:
    """``text`` as YAML reads it back: plain where that is safe, else in quotes."""
    try:
        plain = yaml.safe_load(f"x: {text}") == {"x": text}
    except (yaml.YAMLError, ValueError):
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)
