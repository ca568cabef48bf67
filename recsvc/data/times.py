"""Timestamps in whatever form files hold them: numbers of seconds, milliseconds and so on, dates, or ISO 8601."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recsvc.data.dataset import DataError

Times = NDArray[np.int64]
Known = NDArray[np.bool_]

_INTEGER = r"^[+-]?[0-9]{1,18}$"
_NUMBER = r"^[+-]?([0-9]{1,18}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$"
_FIRST_DAY, _LAST_DAY = 1970_01_01, 2101_01_01
_CALENDARS = ((0, ()), (4, ((60, 60), (24, 3600))), (6, ((60, 1), (60, 60), (24, 3600))))
"""How many digits of a clock may stand behind a day, and of each two, from the right, the limit and the seconds. As
seconds or milliseconds since 1970 such numbers would be of 1970, of 1976 to 1979, and of 2594 and later."""
_UNIT_BOUNDS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6))
"""Below 10^11 a number is taken for seconds (until the year 5138), then for milli- and for microseconds."""


def parse(column: pa.Array) -> tuple[Times, Known, bool]:
    """Numbers for a column of any type, which of them are known, and whether they are seconds for sure.

    Numbers without a unit are returned as they are; see `in_seconds`. ISO 8601 without an offset is taken for UTC.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return *_seconds(column), True
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return *_numbers(column), False
    return _text(column.cast(pa.string()))


def in_seconds(numbers: Times, name: str) -> Times:
    """Numbers of one unknown unit in seconds, by the size of their median.

    Those that read as dates (20260131, 202601311200, 20260131120000) are dates. Raises `DataError`, which begins with
    ``name``, where most of them do and others cannot.
    """
    if not len(numbers):
        return numbers
    middle = abs(int(np.median(numbers)))
    for digits, parts in _CALENDARS:
        if _FIRST_DAY * 10**digits <= middle < _LAST_DAY * 10**digits:
            seconds, known = _calendar(numbers, digits, parts)
            if 2 * known.sum() > len(numbers):
                _check_calendar(numbers, known, name)
                return seconds
    divisor = next((divisor for bound, divisor in _UNIT_BOUNDS if middle < bound), 10**9)
    return numbers if divisor == 1 else numbers // divisor


def _calendar(numbers: Times, digits: int, parts: Sequence[tuple[int, int]]) -> tuple[Times, Known]:
    """Seconds of numbers such as 20260131 with so many ``digits`` of a clock behind, and which of them are any."""
    days, clock = np.divmod(numbers, 10**digits)
    years, months, days = days // 10_000, days // 100 % 100, days % 100
    known = (years >= 1) & (years < 10_000) & (months >= 1) & (months <= 12) & (days >= 1)
    month = ((np.where(known, years, 1970) - 1970) * 12 + np.where(known, months, 1) - 1).astype("datetime64[M]")
    date = month.astype("datetime64[D]") + (np.where(known, days, 1) - 1)
    known &= date.astype("datetime64[M]") == month  # no 31st of February
    seconds = date.astype("datetime64[s]").astype(np.int64)
    for limit, unit_s in parts:
        clock, part = np.divmod(clock, 100)
        known &= part < limit
        seconds += part * unit_s
    return seconds, known


def _check_calendar(numbers: Times, known: Known, name: str) -> None:
    if not known.all():
        raise DataError(
            f"{name}: {int((~known).sum()):,} of its {len(numbers):,} times are no dates as the others are, such as "
            f"{int(numbers[~known][0])}, where those are like {int(numbers[known][0])}. Mend them or leave them empty, "
            "or write times as 2026-01-31 or in seconds since 1970."
        )


def _text(column: pa.Array) -> tuple[Times, Known, bool]:
    text = pc.utf8_trim_whitespace(column)
    try:
        return *_numbers(text.cast(pa.int64())), False
    except pa.ArrowInvalid:
        pass
    numeric = pc.match_substring_regex(text, _NUMBER)
    if pc.sum(numeric).as_py() or not pc.any(pc.match_substring(text, "-")).as_py():
        # A column is of one kind: among numbers a date cannot be read, for its unit would be another one.
        return *_mixed_numbers(text, numeric), False
    return *_iso(text), True


def _numbers(column: pa.Array) -> tuple[Times, Known]:
    known = column.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_integer(column.type):
        values = np.nan_to_num(column.cast(pa.float64()).to_numpy(zero_copy_only=False), nan=-1.0, posinf=-1, neginf=-1)
        usable = known & (np.abs(values) < 2.0**62)
        return np.floor(np.where(usable, values, 0)).astype(np.int64), usable
    return column.fill_null(0).cast(pa.int64(), safe=False).to_numpy(zero_copy_only=False), known


def _mixed_numbers(text: pa.Array, numeric: pa.Array) -> tuple[Times, Known]:
    whole = pc.match_substring_regex(text, _INTEGER)
    integers, known = _numbers(pc.if_else(whole, text, None).cast(pa.int64()))
    fractions = pc.if_else(pc.and_not(numeric, whole), text, None).cast(pa.float64())
    floored, also = _numbers(fractions)
    return np.where(known, integers, floored), known | also


def _iso(text: pa.Array) -> tuple[Times, Known]:
    text = pc.replace_substring_regex(text, r"\s*(UTC|GMT)$", "Z")
    for zone in (None, "UTC"):
        try:
            return _seconds(text.cast(pa.timestamp("us", tz=zone)))
        except pa.ArrowInvalid:
            continue
    seconds = [_one(value) for value in text.to_pylist()]
    known = np.array([value is not None for value in seconds], dtype=np.bool_)
    return np.array([value or 0 for value in seconds], dtype=np.int64), known


def _one(text: str | None) -> int | None:
    if text is None or not re.match(r"\d{4}-?\d\d", text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp() // 1)


def _seconds(moments: pa.Array) -> tuple[Times, Known]:
    known = moments.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_timestamp(moments.type):
        moments = moments.cast(pa.timestamp("ms"))
    per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[moments.type.unit]
    numbers = moments.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return numbers // per_s, known
