"""A catalogue of items from a file: CSV, TSV, Parquet or JSON lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from recsvc import movielens
from recsvc.bundle import Item
from recsvc.data.dataset import DataError
from recsvc.data.ids import text, whole
from recsvc.data.layout import key, plain
from recsvc.data.opening import opened

NAMES: Mapping[str, tuple[str, ...]] = {
    "id": (
        "id", "item", "itemid", "iid", "movieid", "productid", "articleid", "parentasin", "asin", "sku", "bookid",
        "trackid", "businessid",
    ),
    "title": ("title", "name", "itemname", "movietitle", "producttitle", "productname", "prodname", "description"),
    "year": ("year", "releaseyear", "releasedate", "date"),
    "genres": (
        "genres", "genre", "categories", "category", "categorycode", "maincategory", "class", "producttypename", "tags",
    ),
    "brand": ("brand", "manufacturer", "store", "vendor"),
    "price": ("price", "salesprice"),
}  # fmt: skip
"""What columns are called, the likeliest first; case, spaces and punctuation do not count."""

_PARQUET = b"PAR1"


def read_catalogue(path: Path, asked: Mapping[str, str], taken: Collection[str] = ()) -> list[Item]:
    """Items in the order of the file; of several with one id the first stays.

    ``asked`` maps id, title, year, genres, brand and price to columns; ``taken`` are the ids of the items in the
    interactions, where there are some. Raises `DataError`, naming file and column, also where none of those is here.
    """
    titles, rows = _table(path)
    columns = _columns(titles, asked, path)
    # Where headers name types, as user_id:token does, several values of a cell stand with spaces between them.
    spaced = columns.get("genres", "") != plain(columns.get("genres", ""))
    items: dict[str, Item] = {}
    for row in rows:
        number = text(row.get(columns["id"]))
        if number is not None and number not in items:
            items[number] = _item(number, row, columns, spaced)
    if not items:
        raise DataError(f"{path}: there are no items in it. Is {columns['id']} the column with their ids?")
    found = _with_whole_ids(list(items.values()))
    _check_taken(found, taken, f"{path}: column {columns['id']}")
    return found


def _with_whole_ids(items: Sequence[Item]) -> list[Item]:
    """The items, with ids such as 1.0 as 1 where all are of that form, as interactions have them."""
    named = zip(items, whole([item.id for item in items]), strict=True)
    return [replace(item, id=name, title=name if item.title == item.id else item.title) for item, name in named]


def _check_taken(items: Sequence[Item], taken: Collection[str], where: str) -> None:
    """Raise `DataError` where a catalogue is not that of the interactions: all of it would be strays to recommend."""
    known = set(taken)
    if known and not any(item.id in known for item in items):
        raise DataError(
            f"{where}: none of its {len(items):,} items is among the {len(known):,} of the interactions, which are "
            f"called as {next(iter(taken))!r}, these as {items[0].id!r}. Name the column with the same ids, "
            "as --item-columns id=NAME."
        )


def _item(number: str, row: Mapping[str, Any], columns: Mapping[str, str], spaced: bool) -> Item:
    cells = {role: row.get(column) for role, column in columns.items()}
    title, year = movielens.split_title(" ".join(str(cells.get("title") or "").split()) or number)
    return Item(
        number,
        title,
        _year(cells.get("year")) or year,
        _genres(cells.get("genres"), spaced),
        brand=str(cells["brand"]).strip() or None if cells.get("brand") is not None else None,
        price=_price(cells.get("price")),
    )


def _columns(titles: Sequence[str], asked: Mapping[str, str], path: Path) -> dict[str, str]:
    by_key = {key(plain(title)): title for title in reversed(titles)}
    by_name = {plain(title): title for title in reversed(titles)} | {title: title for title in titles}
    chosen = {}
    for role, names in NAMES.items():
        if role in asked:
            if asked[role] not in by_name:
                raise DataError(
                    f"{path}: it has no column {asked[role]!r} for {role}; it has {', '.join(titles)}. "
                    "See --item-columns."
                )
            chosen[role] = by_name[asked[role]]
        elif known := next((name for name in names if name in by_key), None):
            chosen[role] = by_key[known]
    if "id" not in chosen:
        raise DataError(
            f"{path}: none of its columns ({', '.join(titles)}) is known to hold the item's id. "
            "Say which with --item-columns id=NAME,title=NAME."
        )
    return chosen


def _table(path: Path) -> tuple[list[str], Iterator[Mapping[str, Any]]]:
    """The names of the columns, and the rows."""
    with opened(path) as file:
        head = file.stream.read(1 << 16)
        file.stream.seek(0)
        try:
            if head.startswith(_PARQUET):
                table = pq.read_table(path)
                return table.column_names, _rows(table)
            if head.lstrip().startswith(b"["):
                raise DataError(
                    f"{path}: it is a JSON array. Write JSON lines, one object a line, as `jq -c '.[]'` does."
                )
            if head.lstrip().startswith(b"{"):
                return _json_lines(file.stream.read().decode(), path)
            return _text(file.stream.read(), head, path)
        except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
            raise DataError(f"{path}: it cannot be read as a catalogue ({str(error).splitlines()[0]}).") from error


def _text(content: bytes, head: bytes, path: Path) -> tuple[list[str], Iterator[Mapping[str, Any]]]:
    first = head.splitlines()[0].decode() if head.splitlines() else ""
    delimiter = next((candidate for candidate in ("\t", ",", ";", "|") if candidate in first), ",")
    wrong: list[int] = []

    def refuse(row: Any) -> str:
        wrong.append(row.number)
        return "skip"

    table = pcsv.read_csv(
        pa.BufferReader(content),
        read_options=pcsv.ReadOptions(use_threads=False),
        parse_options=pcsv.ParseOptions(
            delimiter=delimiter, invalid_row_handler=refuse, newlines_in_values=delimiter != "\t",
            quote_char=False if delimiter == "\t" else '"',
        ),
        convert_options=pcsv.ConvertOptions(
            column_types=dict.fromkeys(_header(first, delimiter), pa.string()),
            strings_can_be_null=True, null_values=[""],
        ),
    )  # fmt: skip
    if wrong:
        raise DataError(f"{path}: line {wrong[0]} has another number of columns than the first. Mend it, or quote it.")
    return table.column_names, _rows(table)


def _header(line: str, delimiter: str) -> list[str]:
    return [cell.strip('"') for cell in line.lstrip("\ufeff").split(delimiter)]


def _json_lines(content: str, path: Path) -> tuple[list[str], Iterator[Mapping[str, Any]]]:
    rows, titles = [], dict[str, None]()
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: it is no JSON object ({error}).") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: it is no JSON object.")
        titles.update(dict.fromkeys(row))
        rows.append(row)
    return list(titles), iter(rows)


def _rows(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    for batch in table.to_batches(max_chunksize=1 << 14):
        yield from batch.to_pylist()


def _genres(cell: Any, spaced: bool) -> tuple[str, ...]:
    if cell is None:
        return ()
    if isinstance(cell, list | tuple):
        # Amazon nests lists of categories; what matters is each name, once.
        parts = [name for part in cell for name in _genres(part, spaced)]
    elif spaced:
        parts = str(cell).split()
    else:
        parts = str(cell).strip("[]").split("|" if "|" in str(cell) else ",")
    return tuple(dict.fromkeys(name for part in parts if (name := part.strip().strip("'\"").strip())))


def _price(cell: Any) -> float | None:
    if isinstance(cell, int | float):
        return float(cell) if math.isfinite(cell) and cell >= 0 else None
    match = re.search(r"\d+(?:,\d{3})*(?:\.\d+)?", str(cell or ""))
    price = float(match[0].replace(",", "")) if match else math.inf
    return price if math.isfinite(price) else None


def _year(cell: Any) -> int | None:
    match = re.search(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)", str(cell or ""))
    return int(match[0]) if match else None
