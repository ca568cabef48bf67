"""The options that say which data set: those of every command that may read data."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from recsvc.data import DataError, Request, Rules

ROLES = ("user", "item", "time", "header")
_HEADER = ("yes", "no")
ITEM_ROLES = ("id", "title", "year", "genres", "brand", "price")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `request` reads."""
    parser.add_argument("--data", default="auto", help="auto, ml-100k, ml-1m, ml-20m, synthetic or file:PATH")
    parser.add_argument("--source", help="folder, zip archive or address of a named set's original files")
    parser.add_argument(
        "--columns", default="", help="user=NAME,item=NAME,time=NAME; numbers without a header; header=no or yes"
    )
    parser.add_argument("--items", type=Path, help="catalogue: CSV, TSV, Parquet or JSON lines")
    parser.add_argument("--item-columns", default="", help="id=NAME,title=NAME,genres=NAME,brand=NAME,price=NAME")
    parser.add_argument("--min-user-interactions", type=int, default=0, metavar="N", help="leave out users with fewer")
    parser.add_argument("--min-item-interactions", type=int, default=0, metavar="N", help="leave out items with fewer")
    parser.add_argument("--key-file", type=Path, help="pseudonym key; default: the cache's own")


def request(options: argparse.Namespace) -> Request:
    """The data set that the options ask for; raises `DataError`."""
    return Request(
        data=options.data,
        source=options.source,
        columns=columns(options.columns, "--columns", ROLES),
        items=options.items.expanduser().absolute() if options.items else None,
        item_columns=columns(options.item_columns, "--item-columns", ITEM_ROLES),
        rules=Rules(options.min_user_interactions, options.min_item_interactions),
        key_file=options.key_file,
    )


def columns(text: str, option: str, roles: Collection[str]) -> dict[str, str]:
    """``user=a,item=b`` as a mapping; raises `DataError` for anything else."""
    chosen = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, sign, name = part.partition("=")
        if role not in roles or not sign or not name:
            forms = (f"{role}={'|'.join(_HEADER) if role == 'header' else 'NAME'}" for role in roles)
            raise DataError(f"{option} {part}: write {','.join(forms)}, any of them.")
        if role == "header" and name not in _HEADER:
            raise DataError(
                f"{option} {part}: write header=yes or header=no: whether the first line names the columns."
            )
        chosen[role] = name
    return chosen
