"""Cron expressions: what is refused, with which words, and when the others fall due."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from drills.errors import UsageError
from drills.schedule import Cron
from drills.schedule.calendars import on_calendar

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 fields"),
        ("17 3 * *", "4 fields, not five: minute, hour, day-of-month, month, day-of-week"),
        ("0 17 3 * * *", "6 fields"),
        ("@daily", "names such as @daily"),
        ("60 3 * * *", "minute cannot be '60': it is 0-59"),
        ("17 24 * * *", "hour cannot be '24': it is 0-23"),
        ("17 3 0 * *", "day-of-month 0 is 1-31"),
        ("17 3 * 13 *", "month cannot be '13'"),
        ("17 3 * * 8", "day-of-week cannot be '8': it is 0-6 or SUN-SAT"),
        ("17 3 * * FOO", "day-of-week cannot be 'FOO'"),
        ("17 3 * MON *", "month cannot be 'MON'"),
        ("five 3 * * *", "minute cannot be 'FIVE'"),
        ("9-5 3 * * *", "minute cannot be '9-5'"),
        ("*/0 3 * * *", "minute cannot be '*/0'"),
        ("17 3 30 2 *", "must come in one of the months given"),
        ("17 3 L * *", "L in day-of-month is an extension"),
        ("17 3 * * 5#3", "# in day-of-week is an extension"),
        ("17 3 ? * *", "? in day-of-month is an extension"),
        ("5/15 3 * * *", "a step behind the single value 5 in minute is ambiguous. Write 5-59/..."),
        ("17 3 */2 * 1", "List the values instead"),
        ("17 3 1 * */2", "List the values instead"),
        ("17\n3 * * *; *", "6 fields"),
        ("$(id) 3 * * *", "minute cannot be '$(ID)'"),
    ],
)
def test_what_not_every_system_understands_is_refused_and_the_field_named(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        Cron.parse(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "written"),
    [("17 3 * * 7", "17 3 * * 0"), ("17 3 * * 5-7", "17 3 * * 0,5,6"), ("0 4 * jan mon-fri", "0 4 * JAN MON-FRI")],
)
def test_what_only_some_understand_is_written_so_that_all_do(text: str, written: str) -> None:
    assert Cron.parse(text).text == written


def due(cron: Cron, at: datetime) -> bool:
    """Whether the expression means this minute, from cron's own rule."""
    day, weekday = at.day in cron.days, (at.weekday() + 1) % 7 in cron.weekdays
    right = (day or weekday) if cron.either else (day and weekday)
    return right and at.month in cron.months and at.hour in cron.hours and at.minute in cron.minutes


@pytest.mark.parametrize("text", ["17 3 * * *", "*/20 0-6/3 * * 1-5", "0 12 1,15 * FRI", "59 23 31 12 *", "5 * 1 * *"])
def test_the_next_moments_are_those_that_the_fields_allow(text: str) -> None:
    cron = Cron.parse(text)
    found = cron.upcoming(NOW, 3)
    assert found
    minutes = (NOW + timedelta(minutes=n) for n in range(1, 60 * 24 * 45))
    expected = [at for at in minutes if due(cron, at)][:3]
    assert found[: len(expected)] == expected


def expressions(count: int) -> list[str]:
    """Random ones of every kind that is accepted."""
    draw = random.Random(6)

    def field(low: int, high: int) -> str:
        a, b = sorted(draw.sample(range(low, high + 1), 2))
        step = draw.randint(2, 5)
        return draw.choice(["*", str(a), f"{a}-{b}", f"{a},{b}", f"*/{step}", f"{a}-{b}/{step}"])

    found: list[str] = []
    while len(found) < count:
        text = " ".join(field(*ends) for ends in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7)))
        try:
            Cron.parse(text)
        except UsageError:
            continue
        found.append(text)
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("text", [*expressions(25), "0 3 1 * 1", "17 3 * * 7", "0 0 29 2 *", "*/15 * 1-31 * 2"])
def test_systemd_means_the_same(text: str) -> None:
    cron = Cron.parse(text)
    expected = cron.upcoming(NOW, 6)
    found: set[datetime] = set()
    for line in on_calendar(cron, "UTC"):
        argv = ["systemd-analyze", "calendar", "--iterations=6", "--base-time=2026-11-22 12:30:00 UTC", line]
        said = subprocess.run(
            argv, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}
        )
        moments = re.findall(r"(?:Next elapse|Iter\. #\d+): \w{3} ([\d-]+ [\d:]+) UTC", said.stdout)
        assert moments, said.stdout
        found |= {datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in moments}
    assert sorted(found)[:6] == expected
