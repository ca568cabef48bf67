"""How a text file of interactions is laid out: its delimiter, whether it has a header, which column is which."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recsvc.data.dataset import DataError

NONE = "none"
"""``time=none`` says that a file has no times and its order is that in which things happened."""

HEADER = "header"
"""``header=yes`` or ``header=no`` says whether the first line names the columns, where that is guessed wrong."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "user": (
        "user", "userid", "uid", "customerid", "customer", "visitorid", "visitor", "reviewerid", "memberid",
        "accountid", "sessionid",
    ),
    "item": (
        "item", "itemid", "iid", "movieid", "productid", "product", "articleid", "parentasin", "asin", "sku", "bookid",
        "trackid", "songid", "businessid", "objectid",
    ),
    "time": (
        "timestamp", "time", "timestamps", "ts", "eventtime", "unixreviewtime", "datetime", "createdat", "date", "tdat",
        "reviewtime", "unixtime",
    ),
}  # fmt: skip
"""What columns are called, the likeliest first; case, spaces and punctuation do not count."""

_PLAIN_COLUMNS = 2


@dataclass(frozen=True)
class Columns:
    """The names of the three columns in a table; ``time`` is None where order is all there is."""

    user: str
    item: str
    time: str | None


@dataclass(frozen=True)
class Layout:
    """``names`` are one a column, unique; ``double`` says that the delimiter stands twice in the file, as ``::``."""

    delimiter: str
    header: bool
    names: tuple[str, ...]
    columns: Columns
    double: bool = False


def layout(first_line: str, asked: Mapping[str, str], name: str) -> Layout:
    """Work out a text file's layout from its first line and what the user said of its columns.

    Raises `DataError`, with the columns there are, where it cannot be told which is which.
    """
    line = first_line.lstrip("\ufeff").rstrip("\r\n")
    if not line.strip():
        raise DataError(f"{name}: its first line is empty. Interactions have a user and an item on every line.")
    delimiter, double = _delimiter(line)
    cells = line.split("::") if double else next(csv.reader([line], delimiter=delimiter))
    titles = [plain(cell) for cell in cells]
    header = asked.get(HEADER)
    asked = {role: wanted for role, wanted in asked.items() if role != HEADER}
    if header == "yes" or (header is None and _is_header(titles, asked)):
        return Layout(delimiter, True, _unique(titles), choose(titles, asked, name), double)
    numbered = [str(number) for number in range(1, len(cells) + 1)]
    if not asked and len(cells) == _PLAIN_COLUMNS and delimiter in " \t":
        return Layout(delimiter, False, ("1", "2"), Columns("1", "2", None))
    if not asked:
        raise DataError(
            f"{name}: no column ({', '.join(cells[:8])}) has a name that says what it holds. Say which is which, "
            "as --columns user=NAME,item=NAME,time=NAME, or by number where there is no header: user=1,item=2,time=4."
        )
    return Layout(delimiter, False, tuple(numbered), choose(numbered, asked, name), double)


def choose(titles: Sequence[str], asked: Mapping[str, str], name: str) -> Columns:
    """Which columns hold users, items and times; raises `DataError` where one is missing or unknown."""
    unique = _unique(titles)
    user, item = (_one(role, unique, titles, asked, name) for role in ("user", "item"))
    time = None if asked.get("time") == NONE else _one("time", unique, titles, asked, name)
    chosen = [column for column in (user, item, time) if column is not None]
    if len(set(chosen)) < len(chosen):
        raise DataError(f"{name}: one column cannot be two things: {', '.join(chosen)}. See --columns.")
    return Columns(user, item, time)


def plain(title: str) -> str:
    """A column's name without white space around it and without a type behind it, as in ``user_id:token``."""
    return re.sub(r":(token|float|token_seq|float_seq)$", "", title.strip())


def key(title: str) -> str:
    """A column's name as it is compared: lower case, letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", title.lower())


def _one(role: str, unique: Sequence[str], titles: Sequence[str], asked: Mapping[str, str], name: str) -> str:
    if role in asked:
        wanted = asked[role]
        for place, title in enumerate(titles):
            if wanted in (title, unique[place]):
                return unique[place]
        if _is_number(wanted) and 1 <= int(wanted) <= len(unique):
            return unique[int(wanted) - 1]
        raise DataError(f"{name}: it has no column {wanted!r} for {role}; it has {', '.join(titles)}. See --columns.")
    keys = [key(title) for title in titles]
    for known in NAMES[role]:
        if known in keys:
            return unique[keys.index(known)]
    more = f", or --columns {role}={NONE} where its lines are in the order of time" if role == "time" else ""
    raise DataError(
        f"{name}: none of its columns ({', '.join(titles)}) is known to hold the {role}. "
        f"Say which with --columns {role}=NAME{more}."
    )


def _delimiter(line: str) -> tuple[str, bool]:
    if "::" in line and "\t" not in line and "," not in line:
        return ":", True
    for candidate in ("\t", ",", ";", "|"):
        if candidate in line:
            return candidate, False
    if " " in line.strip():
        return " ", False
    return ",", False


def _is_header(titles: Sequence[str], asked: Mapping[str, str]) -> bool:
    named = {value for value in asked.values() if value != NONE and not _is_number(value)}
    if named & set(titles):
        return True
    known = {name for names in NAMES.values() for name in names}
    return any(key(title) in known for title in titles)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()  # int() does not take all that are digits elsewhere


def _unique(titles: Sequence[str]) -> tuple[str, ...]:
    first = {title: place for place, title in reversed(list(enumerate(titles)))}
    return tuple(title if first[title] == place else f"{title}#{place + 1}" for place, title in enumerate(titles))
