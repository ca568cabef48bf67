"""Interactions from text tables and Parquet, block by block, so that twenty million rows fit and progress shows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsvc.data.dataset import DataError
from recsvc.data.ids import MISSING, whole
from recsvc.data.interactions import FIRST_LINES, Coder, Interactions
from recsvc.data.layout import Columns, Layout, choose, layout
from recsvc.data.opening import Opened, opened
from recsvc.data.times import in_seconds, parse
from recsvc.recipe import Progress

BLOCK_BYTES = 32 << 20
"""Every block has a dictionary of its own ids, so more and smaller blocks cost time: at 8 MB twice as much."""
BLOCK_ROWS = 1 << 20
MOST_UNREADABLE = 0.5
"""Of more than this share of its rows a file cannot be what it was taken for."""

_IDS = pa.dictionary(pa.int32(), pa.string())
_PARQUET = b"PAR1"
_MB = 1_000_000


def read_file(path: Path, asked: Mapping[str, str], progress: Progress) -> Interactions:
    """Read CSV, TSV, ``::`` or white-space separated text, gzipped or not, or Parquet.

    ``asked`` maps user, item and time to columns' names or numbers. Raises `DataError`, naming the file.
    """
    with opened(path) as file:
        if file.stream.read(4) == _PARQUET:
            return read_parquet(path, asked, progress)
        file.stream.seek(0)
        return read_text(file, path.name, asked, progress)


def read_text(file: Opened, name: str, asked: Mapping[str, str], progress: Progress) -> Interactions:
    """Read an open text table; raises `DataError`."""
    try:
        head = file.stream.read(1 << 16)
        first = head.splitlines()[0] if head.splitlines() else b""
        found = layout(first.decode(), asked, name)
        file.stream.seek(0)
        interactions = read_laid_out(file, found, name, progress)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: it is not UTF-8 text ({error.reason}). Convert it first, as with iconv.") from error
    return replace(interactions, headerless=not found.header)


def read_laid_out(file: Opened, found: Layout, name: str, progress: Progress) -> Interactions:
    """Read an open text table whose layout is known; raises `DataError`."""
    wrong: list[int] = []
    collected = Collected(found.columns, first_line=2 if found.header else 1, wrong=wrong)

    def refuse(row: Any) -> str:
        wrong.append(row.number)
        return "skip"

    try:
        for block in _text_blocks(file.stream, found, refuse):
            collected.add(block)
            progress("read", file.position() // _MB, file.size // _MB, f"{collected.rows:,} interactions")
    except pa.ArrowInvalid as error:
        raise DataError(f"{name}: it cannot be read as a table: {_first_line(error)}") from error
    return collected.finish(name)


def read_parquet(path: Path, asked: Mapping[str, str], progress: Progress) -> Interactions:
    """Read a Parquet file; raises `DataError`."""
    try:
        with pq.ParquetFile(path) as file:
            columns = choose(file.schema_arrow.names, asked, path.name)
            wanted = [column for column in (columns.user, columns.item, columns.time) if column is not None]
            collected = Collected(columns, first_line=1, wrong=[])
            for block in file.iter_batches(BLOCK_ROWS, columns=wanted):
                collected.add(block)
                progress("read", collected.rows, file.metadata.num_rows, f"{collected.rows:,} interactions")
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: it cannot be read as Parquet: {_first_line(error)}") from error
    return collected.finish(path.name)


def from_lines(lines: bytes) -> Interactions:
    """Read ``user <tab> item <tab> rating <tab> seconds`` lines without a header."""
    stream = io.BytesIO(lines)
    found = Layout("\t", False, ("user", "item", "rating", "time"), Columns("user", "item", "time"))
    return read_laid_out(Opened(stream, stream, len(lines)), found, "the interactions", lambda *_: None)


@dataclass
class Collected:
    """What has been read so far. Rows that lack something are counted and left out."""

    columns: Columns
    first_line: int
    wrong: list[int]
    """Lines with too few or too many columns; the reader fills it in as it goes."""
    rows: int = 0
    unreadable: int = 0
    blank: int = 0
    lines: list[int] = field(default_factory=list)
    _users: Coder = field(default_factory=Coder)
    _items: Coder = field(default_factory=Coder)
    _times: list[NDArray[np.int64]] = field(default_factory=list)
    _exact: bool | None = None

    def add(self, block: pa.RecordBatch) -> None:
        users, items = (_ids(block.column(name)) for name in (self.columns.user, self.columns.item))
        has_user, has_item = (ids.is_valid().to_numpy(zero_copy_only=False) for ids in (users, items))
        blank, good = ~has_user & ~has_item, has_user & has_item
        if self.columns.time is not None:
            column = block.column(self.columns.time)
            blank &= column.is_null().to_numpy(zero_copy_only=False)
            times, known = self._parse(column)
            good &= known
        if not good.all():
            self._note(~good & ~blank, int(blank.sum()))
            chosen = pa.array(good)
            users, items = users.filter(chosen), items.filter(chosen)
        self._users.add(users)
        self._items.add(items)
        if self.columns.time is not None:
            self._times.append(times if good.all() else times[good])
        self.rows += len(block)

    def finish(self, name: str) -> Interactions:
        """Everything that was read; raises `DataError` where that is next to nothing."""
        rows, unreadable = self.rows - self.blank + len(self.wrong), self.unreadable + len(self.wrong)
        lines = tuple(sorted([*self.lines, *self.wrong[:FIRST_LINES]])[:FIRST_LINES])
        if not rows:
            raise DataError(f"{name}: there are no interactions in it.")
        if unreadable > MOST_UNREADABLE * rows:
            raise DataError(
                f"{name}: {unreadable:,} of {rows:,} rows cannot be read, the first on line {lines[0]}. Is each column "
                f"what it was taken for ({_taken(self.columns)})? Say which is which with --columns."
            )
        (user_ids, user), (item_ids, item) = self._users.finish(), self._items.finish()
        user_ids, item_ids = whole(user_ids), whole(item_ids)
        timed = self.columns.time is not None
        times = np.concatenate(self._times) if timed else np.zeros(len(user), dtype=np.int64)
        self._times.clear()
        if timed and not self._exact:
            times = in_seconds(times, f"{name}: column {self.columns.time}")
        return Interactions(user_ids, item_ids, user, item, times, rows, timed, unreadable, lines, self.blank)

    def _parse(self, column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        times, known, exact = parse(column)
        if self._exact is None and known.any():
            self._exact = exact
        if exact != self._exact:  # dates in one block and numbers in another: no one unit would fit both
            known = np.zeros(len(column), dtype=np.bool_)
        return times, known

    def _note(self, bad: NDArray[np.bool_], blank: int) -> None:
        self.blank += blank
        self.unreadable += int(bad.sum())
        for row in np.flatnonzero(bad)[: FIRST_LINES - len(self.lines)].tolist():
            self.lines.append(self._line(self.rows + row))

    def _line(self, row: int) -> int:
        """The line of the row so many rows behind the first that had the right number of columns."""
        line = row + self.first_line
        for number in self.wrong:
            line += number <= line
        return line


def _text_blocks(stream: IO[bytes], found: Layout, refuse: Callable[[Any], str]) -> Iterator[pa.RecordBatch]:
    names, columns = found.names, found.columns
    if found.double:
        # Arrow knows delimiters of one character: between two colons it sees an empty column.
        names = tuple(part for name in names for part in (name, f"{name}:"))[:-1]
    wanted = [columns.user, columns.item, *([columns.time] if columns.time else [])]
    types = {columns.user: _IDS, columns.item: _IDS} | ({columns.time: pa.string()} if columns.time else {})
    yield from pcsv.open_csv(
        stream,
        # With threads the reader does not know the numbers of the lines that it refuses.
        read_options=pcsv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows=1 if found.header else 0
        ),
        parse_options=pcsv.ParseOptions(
            delimiter=found.delimiter,
            quote_char='"' if found.delimiter in ",;\t|" else False,
            ignore_empty_lines=False,
            invalid_row_handler=refuse,
        ),
        convert_options=pcsv.ConvertOptions(
            include_columns=wanted, column_types=types, null_values=list(MISSING), strings_can_be_null=True
        ),
    )


def _ids(column: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_dictionary(column.type):
        if not pa.types.is_string(column.type.value_type):
            column = column.dictionary_decode()
        else:
            return column
    if pa.types.is_floating(column.type):
        # pandas writes whole numbers with gaps as floats: 196.0 is user 196.
        whole = pc.all(pc.equal(pc.floor(column), column)).as_py()
        column = column.cast(pa.int64(), safe=False) if whole else column
    return column.cast(pa.string()).dictionary_encode()


def _taken(columns: Columns) -> str:
    return f"user {columns.user}, item {columns.item}, time {columns.time or 'none'}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
