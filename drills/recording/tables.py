"""Rows of one struct as a Parquet file, and back.

pyarrow is imported where it is used: it starts threads, and a process that enters a user namespace must not have any.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

SCHEMA_VERSION = 1
_TYPES = {
    "trial": "int32",
    "t_scheduled": "int64",
    "t_sent": "int64",
    "t_done": "int64",
    "status": "int16",
    "degraded": "bool",
    "hits": "int32",
    "expected": "int32",
    "count": "int32",
    "t_seen": "int64",
}


def write_table(path: Path, kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> None:
    """Write ``rows`` as Parquet, atomically: the file is there whole or not at all."""
    import pyarrow as pa  # noqa: PLC0415 - see the module's docstring
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns: dict[str, list[Any]] = {name: [] for name in kind.__struct_fields__}
    for row in rows:
        for name, column in columns.items():
            column.append(getattr(row, name))
    fields = [(name, pa.type_for_alias(_TYPES.get(name, "string"))) for name in columns]
    schema = pa.schema(fields, metadata={"recdr_schema": str(SCHEMA_VERSION)})
    partial = path.with_suffix(".partial")
    pq.write_table(pa.table(columns, schema=schema), partial, compression="zstd")
    partial.replace(path)


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file; empty where the file is missing."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - see the module's docstring

    if not path.exists():
        return []
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows
