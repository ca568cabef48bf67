"""A cron expression of five fields, as GitHub, GitLab, Kubernetes and Debian's cron all understand it.

What they do not agree on is refused: a schedule that one of them reads in another way is found out by the drill that
did not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import cast

from cronsim import CronSim, CronSimError

from drills.errors import UsageError

FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_FULL = (range(60), range(24), range(1, 32), range(1, 13), range(7))
_RANGES = ("0-59", "0-23", "1-31", "1-12 or JAN-DEC", "0-6 or SUN-SAT")
_ALLOWED = (r"[\d*,/-]+",) * 3 + (r"[\dA-Z*,/-]+",) * 2
_EXTENSIONS = re.compile(r"[LW#?~]")
_LONE_STEP = re.compile(r"(?:^|,)([0-9A-Z]+)/")
_SOME_MOMENT = datetime(2026, 1, 1)
"""For reading an expression, which cronsim does only together with a moment to begin at."""


@dataclass(frozen=True)
class Cron:
    """When: the values of each field. ``weekdays`` count from Sunday, which is 0.

    ``either``: a day counts if its number or its weekday is right; else both must be. ``text`` is the expression with
    what not everybody understands (Sunday as 7) written differently.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Raises UsageError that names the field and says what to write."""
        fields = text.upper().split()
        if text.strip().startswith("@"):
            raise _refused(text, "not every system knows names such as @daily. Write five fields: '17 3 * * *'.")
        if len(fields) != len(FIELDS):
            raise _refused(text, f"it has {len(fields)} fields, not five: {', '.join(FIELDS)}.")
        for number, field in enumerate(fields):
            _check(text, number, field)
        try:
            read = CronSim(" ".join(fields), _SOME_MOMENT)
        except CronSimError as error:
            raise _named(text, fields, str(error)) from None
        # Without the extensions refused above, every value is a number.
        days, weekdays = {int(day) for day in read.days}, {cast(int, day) % 7 for day in read.weekdays}
        _check_days(text, fields, days, weekdays)
        if "7" in fields[4]:
            fields[4] = ",".join(map(str, sorted(weekdays)))
        return cls(
            text=" ".join(fields),
            minutes=tuple(sorted(read.minutes)),
            hours=tuple(sorted(read.hours)),
            days=tuple(sorted(days)),
            months=tuple(sorted(read.months)),
            weekdays=tuple(sorted(weekdays)),
            either=not (fields[2].startswith("*") or fields[4].startswith("*")),
        )

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """The next moments, in the time zone of ``after``."""
        return list(islice(CronSim(self.text, after), count))


def _check(text: str, number: int, field: str) -> None:
    if found := _EXTENSIONS.search(re.sub(r"[A-Z]{3}", "", field)):
        raise _refused(text, f"{found[0]} in {FIELDS[number]} is an extension that not every system knows.")
    if not re.fullmatch(_ALLOWED[number], field):
        raise _refused(text, f"{FIELDS[number]} cannot be {field!r}: it is {_RANGES[number]}, *, lists and steps.")
    if found := _LONE_STEP.search(field):
        last = _FULL[number][-1]
        remedy = f"Write {found[1]}-{last}/... for every so many from {found[1]} on."
        raise _refused(text, f"a step behind the single value {found[1]} in {FIELDS[number]} is ambiguous. {remedy}")


def _check_days(text: str, fields: list[str], days: set[int], weekdays: set[int]) -> None:
    limits = len(days) < len(_FULL[2]) and len(weekdays) < len(_FULL[4])
    if limits and (fields[2].startswith("*") or fields[4].startswith("*")):
        problem = "with a step behind * in one of day-of-month and day-of-week, and the other one given, some systems"
        raise _refused(text, f"{problem} want both to be right and some either. List the values instead.")


def _named(text: str, fields: list[str], said: str) -> UsageError:
    field = said.removeprefix("Bad ")
    if field not in FIELDS:
        return _refused(text, said)
    number = FIELDS.index(field)
    if field == "day-of-month" and re.fullmatch(r"[\d,-]+", fields[2]):
        return _refused(text, f"day-of-month {fields[2]} is {_RANGES[2]}, and must come in one of the months given.")
    return _refused(text, f"{field} cannot be {fields[number]!r}: it is {_RANGES[number]}, *, lists and steps.")


def _refused(text: str, problem: str) -> UsageError:
    return UsageError(f"--cron '{text}': {problem}")
