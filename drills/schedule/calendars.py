"""A cron expression in systemd's words."""

from __future__ import annotations

from collections.abc import Sequence

from drills.schedule.cron import Cron

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def on_calendar(cron: Cron, zone: str) -> list[str]:
    """The values of ``OnCalendar=`` that together mean exactly what the expression does.

    Where cron wants the day of the month or the day of the week, two lines say so: systemd takes any of them, but
    wants all of one.
    """
    days, months = _listed(cron.days, 31), _listed(cron.months, 12)
    time = f"{_listed(cron.hours, 24)}:{_listed(cron.minutes, 60)}:00 {zone}"
    weekdays = ",".join(_DAYS[day] for day in cron.weekdays if len(cron.weekdays) < len(_DAYS))
    by_weekday = f"{weekdays} " if weekdays else ""
    if cron.either:
        return [f"*-{months}-{days} {time}", f"{by_weekday}*-{months}-* {time}"]
    return [f"{by_weekday}*-{months}-{days} {time}"]


def _listed(values: Sequence[int], full: int) -> str:
    """``01,05..07``; an asterisk for all of them."""
    if len(values) == full:
        return "*"
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]:02}" if len(run) == 1 else f"{run[0]:02}..{run[-1]:02}" for run in runs)
