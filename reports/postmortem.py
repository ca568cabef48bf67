"""``postmortem.yaml``: what people add to a run's report, in a file of their own that recdr never overwrites.

``reports.draft`` writes the first version of it, on request; ``load`` reads it for the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drills.errors import SpecError
from drills.spec import rules
from drills.spec.document import Document, Kind, Where
from drills.spec.document import read as read_yaml
from reports import cleaning

NAME = "postmortem.yaml"
STATUS = ("draft", "in review", "final")
ACTION_STATUS = ("open", "in progress", "done", "dropped")
KIND = Kind(
    noun="post-mortem",
    form="a post-mortem is a mapping of keys such as impact and actions to values",
    start="Delete it and create it again: recdr report postmortem RUN",
)
LONGEST = 20_000
"""Characters of one text that a report shows."""


@dataclass(frozen=True)
class Action:
    """Something to be done. ``due`` is a day (ISO 8601); ``href`` is set where ``link`` may be followed."""

    what: str
    owner: str = ""
    due: str = ""
    status: str = "open"
    link: str = ""

    @property
    def href(self) -> str:
        """The link if it is one to a web page, else ''."""
        try:
            parts = urlsplit(self.link)
        except ValueError:
            return ""
        return self.link if parts.scheme in {"http", "https"} and parts.netloc and " " not in self.link else ""


@dataclass(frozen=True)
class Postmortem:
    """What people wrote; texts are paragraphs. What was left empty is empty here."""

    status: str = "draft"
    authors: tuple[str, ...] = ()
    date: str = ""
    impact: tuple[str, ...] = ()
    contributing_factors: tuple[str, ...] = ()
    went_well: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()


KEYS = tuple(field.name for field in fields(Postmortem))
ACTION_KEYS = tuple(field.name for field in fields(Action))


@dataclass(frozen=True)
class Frame:
    """A run's post-mortem as its report shows it; None where nobody began one, or ``problem`` says what is wrong."""

    written: Postmortem | None = None
    problem: str = ""


def load(run_dir: Path) -> Frame:
    """The run's post-mortem; raises nothing, for a report is made whatever people wrote."""
    path = run_dir / NAME
    if not path.exists() and not path.is_symlink():
        return Frame()
    try:
        return Frame(read(path))
    except SpecError as error:
        # Without the folder: the same directory gives the same report wherever it lies.
        place = f"{NAME}, line {error.line}" if error.line else NAME
        parts = (f"{place}:", f"{error.key}:" if error.key else "", error.problem, error.remedy)
        return Frame(problem=cleaning.text(" ".join(part for part in parts if part)))


def read(path: Path) -> Postmortem:
    """Read the file; raises SpecError with line, key and remedy for anything that it may not hold."""
    doc = read_yaml(path, KIND)
    rules.only_keys(doc, (), KEYS)
    return Postmortem(
        status=_choice(doc, ("status",), STATUS),
        authors=_list(doc, ("authors",)),
        date=_day(doc, ("date",)),
        impact=_paragraphs(doc, ("impact",)),
        contributing_factors=_list(doc, ("contributing_factors",)),
        went_well=_list(doc, ("went_well",)),
        actions=tuple(_actions(doc)),
        notes=_paragraphs(doc, ("notes",)),
    )


def _value(doc: Document, where: Where) -> Any:
    """What stands there; None for nothing, and for a key that was left empty."""
    try:
        return doc.value(where)
    except LookupError:
        return None


def _text(doc: Document, where: Where, what: str) -> str:
    value = _value(doc, where)
    if value is None or value == "":
        return ""
    return cleaning.text(rules.text(doc, where, what), LONGEST).strip()


def _paragraphs(doc: Document, where: Where) -> tuple[str, ...]:
    """A text cut at its line ends."""
    value = _value(doc, where)
    if value is None or value == "":
        return ()
    lines = rules.text(doc, where, f"{where[-1]!r}")[:LONGEST].splitlines()
    return tuple(said for line in lines if (said := cleaning.text(line, LONGEST).strip()))


def _list(doc: Document, where: Where) -> tuple[str, ...]:
    """A list of texts, or one text alone; empty items are left out."""
    value = _value(doc, where)
    if value is None:
        return ()
    if isinstance(value, str):
        return _paragraphs(doc, where)
    items = (_text(doc, (*where, i), "an item") for i in range(len(rules.sequence(doc, where))))
    return tuple(item for item in items if item)


def _choice(doc: Document, where: Where, options: tuple[str, ...]) -> str:
    return options[0] if _value(doc, where) in (None, "") else rules.choice(rules.Choice(options), doc, where)


def _day(doc: Document, where: Where) -> str:
    """A day as ISO 8601 has it, '' where none is given; raises SpecError for anything that is no day."""
    value = _value(doc, where)
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            raise doc.error(where, f"{value[:40]!r} is not a day.", "Write year-month-day: 2026-12-01.") from None
    if not isinstance(value, date):
        raise doc.error(where, f"a day is expected here, not {rules.kind_of(value)}.", "Write it as 2026-12-01.")
    return value.isoformat()


def _actions(doc: Document) -> Iterable[Action]:
    """The actions that say what is to be done; what was left empty is left out."""
    if _value(doc, ("actions",)) is None:
        return
    for i in range(len(rules.sequence(doc, ("actions",)))):
        where: Where = ("actions", i)
        if _value(doc, where) is None:
            continue
        rules.mapping(doc, where)
        rules.only_keys(doc, where, ACTION_KEYS)
        action = Action(
            what=_text(doc, (*where, "what"), "what is to be done"),
            owner=_text(doc, (*where, "owner"), "an owner"),
            due=_day(doc, (*where, "due")),
            status=_choice(doc, (*where, "status"), ACTION_STATUS),
            link=_text(doc, (*where, "link"), "a link"),
        )
        if action.what:
            yield action
        elif action != Action(""):
            raise doc.error(where, "this action does not say what is to be done", "Add what: to it.")
