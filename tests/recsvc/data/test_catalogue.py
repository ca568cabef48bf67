"""Catalogues in the forms that shops and data sets publish."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsvc.bundle import Item
from recsvc.data import DataError
from recsvc.data.catalogue import read_catalogue

LAMP = Item("1", "Desk lamp", 2019, ("Home", "Lighting"), brand="Lumo", price=1299.5)
BARE = Item("2", "2", None, ())


def test_csv_with_usual_names(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "product_id,name,year,category,brand,price\n"
        '1,Desk  lamp,2019,"Home, Lighting",Lumo,"$1,299.50"\n2,,,,,\n1,again,,,,\n'
    )
    assert read_catalogue(tmp_path / "p.csv", {}) == [LAMP, BARE]


def test_typed_headers_separate_words_by_spaces(tmp_path: Path) -> None:
    (tmp_path / "ml.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:float\tgenre:token_seq\n"
        '7\tBig "Hit" (1988)\t\tComedy Drama\n'
    )
    assert read_catalogue(tmp_path / "ml.item", {}) == [Item("7", 'Big "Hit"', 1988, ("Comedy", "Drama"))]


def test_json_lines_and_parquet_with_lists(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "parent_asin": "1",
            "title": "Desk lamp",
            "categories": ["Home", ["Lighting"]],
            "store": "Lumo",
            "price": 1299.5,
        },
        {"parent_asin": "2", "title": None, "categories": [], "price": None},
    ]
    (tmp_path / "meta.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    expected = [Item("1", "Desk lamp", None, LAMP.genres, brand="Lumo", price=1299.5), BARE]
    assert read_catalogue(tmp_path / "meta.jsonl", {}) == expected
    flat = [row | {"categories": ["Home", "Lighting"][: 2 * (n == 0)]} for n, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(flat), tmp_path / "meta.parquet")
    assert read_catalogue(tmp_path / "meta.parquet", {}) == expected


def test_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("nr\twas\tArt\n1\tLampe\tHaus|Licht\n")
    asked = {"id": "nr", "title": "was", "genres": "Art"}
    assert read_catalogue(tmp_path / "p.tsv", asked) == [Item("1", "Lampe", None, ("Haus", "Licht"))]


@pytest.mark.parametrize(
    ("text", "asked", "complaint"),
    [
        ("nr,was\n1,x\n", {}, r"none of its columns \(nr, was\).*--item-columns id=NAME"),
        ("id,title\n1,x\n", {"brand": "maker"}, r"no column 'maker' for brand; it has id, title"),
        ("id,title\n1,x\n2,y,z\n", {}, "line 3 has another number of columns"),
        ("id,title\n", {}, "no items"),
        ('{"id": 1}\n{"id": \n', {}, ":2: it is no JSON object"),
        ('[{"id": 1}]\n', {}, r"p\.csv: it is a JSON array\. Write JSON lines"),
    ],
)
def test_what_is_wrong_is_named(text: str, asked: dict[str, str], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_catalogue(tmp_path / "p.csv", asked)


def test_ids_are_those_of_the_interactions_whatever_type_their_column_has(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,title\n1.0,Lamp\n2.0,\n,gone\n")
    expected = [Item("1", "Lamp", None, ()), BARE]
    assert read_catalogue(tmp_path / "p.csv", {}, ["2", "9"]) == expected
    pq.write_table(pa.table({"id": [1.0, 2.0, float("nan")], "title": ["Lamp", None, "x"]}), tmp_path / "p.parquet")
    assert read_catalogue(tmp_path / "p.parquet", {}) == expected
    (tmp_path / "p.csv").write_text("id,title\n1.0,Lamp\n1.5,Lamp\n")
    assert [item.id for item in read_catalogue(tmp_path / "p.csv", {})] == ["1.0", "1.5"]


def test_a_catalogue_of_other_items_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("nr,sku,title\n1,LA-1,Lamp\n2,LA-2,Shade\n")
    complaint = (
        r"p\.csv: column nr: none of its 2 items is among the 1 .* called as 'LA-2', these as '1'.*--item-columns"
    )
    with pytest.raises(DataError, match=complaint):
        read_catalogue(tmp_path / "p.csv", {"id": "nr"}, ["LA-2"])
    assert len(read_catalogue(tmp_path / "p.csv", {"id": "sku"}, ["LA-2"])) == 2


def test_a_damaged_gzip_is_said_to_be(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b"%d,%d\n" % (n, n * 7919 % 9973) for n in range(40_000)))
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    for content in (packed[:5], packed[:12], packed[: len(packed) // 2], bytes(broken)):
        (tmp_path / "p.csv.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"p\.csv\.gz: "):
            read_catalogue(tmp_path / "p.csv.gz", {})


def test_a_price_without_end_is_none(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(f'{{"id": 1, "price": 1e999}}\n{{"id": 2, "price": "{"9" * 400}"}}\n')
    assert [item.price for item in read_catalogue(tmp_path / "p.jsonl", {})] == [None, None]
