"""MovieLens's data sets in their original files: ``ml-100k``, ``ml-1m`` and ``ml-20m``.

ml-1m: ``ratings.dat`` and ``movies.dat``, ``::`` between the columns, latin-1. ml-20m: ``ratings.csv`` and
``movies.csv``, with a header, UTF-8. GroupLens forbids redistribution: what is fetched is read and not kept.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass

from recsvc import movielens
from recsvc.bundle import Item
from recsvc.data.dataset import DataError
from recsvc.data.interactions import Interactions
from recsvc.data.layout import Columns, Layout
from recsvc.data.opening import Members, members
from recsvc.data.tabular import from_lines, read_laid_out
from recsvc.recipe import Progress

_NO_GENRES = "(no genres listed)"


@dataclass(frozen=True)
class Published:
    """A data set as GroupLens publishes it; ``ratings`` is how many it is known to hold."""

    url: str
    ratings: int
    files: tuple[str, str]
    layout: Layout
    item: Callable[[str], Item]
    encoding: str


def _dat(line: str) -> Item:
    """``1::Toy Story (1995)::Animation|Children's|Comedy``; a title may hold any punctuation."""
    number, rest = line.split("::", 1)
    text, genres = rest.rsplit("::", 1)
    return _movie(number, text, genres)


def _csv(line: str) -> Item:
    number, text, genres = next(csv.reader([line]))
    return _movie(number, text, genres)


def _movie(number: str, text: str, genres: str) -> Item:
    title, year = movielens.split_title(text)
    known = () if genres in ("", _NO_GENRES) else tuple(genres.split("|"))
    return Item(number, title, year, known)


_RATINGS = ("userId", "movieId", "rating", "timestamp")
_COLUMNS = Columns("userId", "movieId", "timestamp")
_ADDRESS = "https://files.grouplens.org/datasets/movielens"
PUBLISHED = {
    "ml-1m": Published(
        f"{_ADDRESS}/ml-1m.zip", 1_000_209, ("ratings.dat", "movies.dat"),
        Layout(":", False, _RATINGS, _COLUMNS, double=True), _dat, "latin-1",
    ),
    "ml-20m": Published(
        f"{_ADDRESS}/ml-20m.zip", 20_000_263, ("ratings.csv", "movies.csv"),
        Layout(",", True, _RATINGS, _COLUMNS), _csv, "utf-8",
    ),
}  # fmt: skip


def load(name: str, where: str, progress: Progress) -> tuple[Interactions, list[Item]]:
    """Read a MovieLens data set from a folder, a zip archive or an address; raises `DataError`."""
    with members(where, progress) as files:
        if name == "ml-100k":
            return _hundred_thousand(files)
        published = PUBLISHED[name]
        ratings, movies = published.files
        with files.open(ratings) as file:
            interactions = read_laid_out(file, published.layout, f"{where}: {ratings}", progress)
        items = _movies(files.read(movies), published, f"{where}: {movies}")
    if interactions.rows != published.ratings:
        progress("read", 1, 1, f"{name} has {published.ratings:,} ratings as published; here are {interactions.rows:,}")
    return interactions, items


def _hundred_thousand(files: Members) -> tuple[Interactions, list[Item]]:
    try:
        tables = movielens.parse_files(files.read("u.data"), files.read("u.item"), files.where)
    except movielens.SourceError as error:
        raise DataError(f"{error}. Is it the original ml-100k?") from error
    return from_lines(tables.interactions), list(tables.items)


def _movies(content: bytes, published: Published, name: str) -> list[Item]:
    items = []
    lines = content.decode(published.encoding).splitlines()
    begin = 1 if published.layout.header else 0
    for number, line in enumerate(lines[begin:], start=begin + 1):
        try:
            items.append(published.item(line))
        except ValueError as error:
            raise DataError(f"{name}:{number}: it is no line of a list of films: {line[:60]!r}.") from error
    return items
