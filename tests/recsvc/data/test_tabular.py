"""Files of interactions in every form that is promised, and files that are not what they seem."""

from __future__ import annotations

import datetime
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsvc.data import DataError
from recsvc.data.interactions import Interactions
from recsvc.data.layout import NONE
from recsvc.data.tabular import read_file

ROWS = [("u1", "a", 1_000_000_000), ("u2", "b", 1_000_000_005), ("u1", "b", 1_000_000_009)]


def read(path: Path, **columns: str) -> Interactions:
    return read_file(path, columns, lambda *_: None)


def rows(found: Interactions) -> list[tuple[str, str, int]]:
    triples = zip(found.user.tolist(), found.item.tolist(), found.time_s.tolist(), strict=True)
    return [(found.user_ids[user], found.item_ids[item], time_s) for user, item, time_s in triples]


def lines(header: str, template: str) -> str:
    return header + "".join(template.format(u=user, i=item, t=time_s) + "\n" for user, item, time_s in ROWS)


@pytest.mark.parametrize(
    "text",
    [
        lines("user_id,item_id,rating,timestamp\n", "{u},{i},5,{t}"),
        lines("timestamp\tuserId\tmovieId\n", "{t}\t{u}\t{i}"),
        lines("user_id:token\titem_id:token\trating:float\ttimestamp:float\n", "{u}\t{i}\t4.0\t{t}.0"),
        lines("\ufeffUser ID;Item;When;Time\n", "{u};{i};noon;{t}"),
        lines("visitorid,event,itemid,timestamp\n", "{u},view,{i},{t}123"),
        lines("user|product_id|event_time\n", "{u}|{i}|{t}000000"),
        lines('"user","item","time"\r\n', '"{u}","{i}","{t}"\r'),
    ],
    ids=["csv", "tsv", "typed", "semicolons", "milliseconds", "microseconds", "quoted"],
)
def test_usual_names_delimiters_and_units_are_recognised(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(text, encoding="utf-8")
    assert rows(read(path)) == ROWS
    path.write_bytes(gzip.compress(text.encode()))
    assert rows(read(path)) == ROWS


@pytest.mark.parametrize(
    "template",
    ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S.250+00:00"],
)
def test_iso_times_are_read(template: str, tmp_path: Path) -> None:
    text = "user,item,date\n"
    for user, item, time_s in ROWS:
        text += f"{user},{item},{datetime.datetime.fromtimestamp(time_s, datetime.UTC).strftime(template)}\n"
    (tmp_path / "log.csv").write_text(text)
    assert rows(read(tmp_path / "log.csv")) == ROWS


def test_an_offset_counts_and_a_date_alone_is_midnight(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na,x,2001-09-09T03:46:40+02:00\nb,x,2001-09-09\n")
    assert read(tmp_path / "log.csv").time_s.tolist() == [1_000_000_000, 999_993_600]


def test_columns_can_be_named_or_numbered(tmp_path: Path) -> None:
    (tmp_path / "named.csv").write_text(lines("who,what,at\n", "{u},{i},{t}"))
    assert rows(read(tmp_path / "named.csv", user="who", item="what", time="at")) == ROWS
    (tmp_path / "u.data").write_text(lines("", "{u}\t{i}\t5\t{t}"))
    assert rows(read(tmp_path / "u.data", user="1", item="2", time="4")) == ROWS
    (tmp_path / "ratings.dat").write_text(lines("", "{u}::{i}::5::{t}"))
    assert rows(read(tmp_path / "ratings.dat", user="1", item="2", time="4")) == ROWS


@pytest.mark.parametrize("delimiter", [" ", "\t"])
def test_plain_lines_are_in_the_order_of_time(delimiter: str, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.txt").write_text("".join(f"{user}{delimiter}{item}\n" for user, item, _ in ROWS))
    found = read(tmp_path / "ml-1m.txt")
    assert (rows(found), found.timed) == ([(user, item, 0) for user, item, _ in ROWS], False)
    (tmp_path / "orders.csv").write_text("user,item\nu1,a\n")
    assert not read(tmp_path / "orders.csv", time=NONE).timed


@pytest.mark.parametrize(
    "times",
    [
        pa.array([row[2] for row in ROWS]),
        pa.array([row[2] * 1000 for row in ROWS]),
        pa.array([row[2] * 10**9 for row in ROWS], pa.timestamp("ns")),
        pa.array([row[2] * 1000 for row in ROWS], pa.timestamp("ms", tz="Europe/Berlin")),
        pa.array([float(row[2]) for row in ROWS]),
        pa.array([str(row[2]) for row in ROWS]).dictionary_encode(),
    ],
    ids=["s", "ms", "ns", "zoned", "float", "dictionary"],
)
def test_parquet(times: pa.Array, tmp_path: Path) -> None:
    users = pa.array([row[0] for row in ROWS]).dictionary_encode()
    table = pa.table(
        {"item": pa.array([row[1] for row in ROWS], pa.large_string()), "t_dat": times, "customer_id": users}
    )
    pq.write_table(table, tmp_path / "log.parquet")
    assert rows(read(tmp_path / "log.parquet")) == ROWS


def test_numbers_as_ids_keep_their_digits(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n007,01,5\n7,1,6\n")
    assert rows(read(tmp_path / "log.csv")) == [("007", "01", 5), ("7", "1", 6)]
    table = pa.table({"user": [7.0, None, 8.0], "item": [1, 2, 3], "time": [5, 6, 7]})
    pq.write_table(table, tmp_path / "log.parquet")
    found = read(tmp_path / "log.parquet")
    assert (rows(found), found.unreadable, found.unreadable_lines) == ([("7", "1", 5), ("8", "3", 7)], 1, (2,))


def test_whole_numbers_that_became_floats_are_whole_again(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n7.0,1.0,5\n,2.0,6\n8.0,12.0,7\n")
    assert rows(read(tmp_path / "log.csv")) == [("7", "1", 5), ("8", "12", 7)]
    (tmp_path / "log.csv").write_text("user,item,time\nv1.0,1.0,5\n7.0,1.5,6\n")
    assert rows(read(tmp_path / "log.csv")) == [("v1.0", "1.0", 5), ("7.0", "1.5", 6)], "versions, or prices"


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()], ids=str)
@pytest.mark.parametrize(("form", "step_s"), [("%Y%m%d", 86_400), ("%Y%m%d%H%M", 60), ("%Y%m%d%H%M%S", 1)])
def test_dates_without_dashes_are_dates(kind: pa.DataType, form: str, step_s: int, tmp_path: Path) -> None:
    moments = [1_700_000_000, 951_782_399, 1_709_164_800]  # the second is the last second of 28 February 2000
    times = pa.array([int(datetime.datetime.fromtimestamp(t, datetime.UTC).strftime(form)) for t in moments])
    pq.write_table(pa.table({"user": list("abc"), "item": list("xyz"), "time": times.cast(kind)}), tmp_path / "a")
    assert read(tmp_path / "a").time_s.tolist() == [t // step_s * step_s for t in moments]


def test_dates_beside_what_is_none_are_refused_and_small_numbers_stay_seconds(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na,x,20231114\nb,x,20230229\nc,x,20231115\nd,x,0\ne,x,20231116\n")
    with pytest.raises(DataError, match=r"log\.csv: column time: 2 of its 5 times are no dates.*20230229.*2026-01-31"):
        read(tmp_path / "log.csv")
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"a,{n},{20_000_000 + n}\n" for n in range(500)))
    assert read(tmp_path / "log.csv").time_s[-1] == 20_000_499


def test_a_header_that_looks_like_a_row_is_told_and_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("kunde,artikel\nk1,a1\n")
    numbered = {"user": "1", "item": "2", "time": NONE}
    guessed = read(tmp_path / "log.csv", **numbered)
    assert (guessed.headerless, guessed.user_ids) == (True, ["kunde", "k1"])
    named = read(tmp_path / "log.csv", **numbered, header="yes")
    assert (named.headerless, named.user_ids, named.item_ids) == (False, ["k1"], ["a1"])
    (tmp_path / "log.csv").write_text("user,item\nk1,a1\n")
    assert not read(tmp_path / "log.csv", **numbered).headerless
    assert read(tmp_path / "log.csv", **numbered, header="no").user_ids == ["user", "k1"]


def test_digits_that_are_no_numbers_are_no_columns(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b,1\n")
    with pytest.raises(DataError, match=r"log\.csv: it has no column '²' for user; it has 1, 2, 3"):
        read(tmp_path / "log.csv", user="²", item="2", time="3")


def test_rows_that_cannot_be_read_are_counted_with_their_lines(tmp_path: Path) -> None:
    good = "".join(f"u{n},i{n},{n + 10}\n" for n in range(20))
    text = "user,item,time\na,x,5\n\n,x,6\nb,,7\nc,x\nd,x,soon\ne,x,8,9\nf,x,\n" + good + "\n"
    (tmp_path / "log.csv").write_text(text)
    found = read(tmp_path / "log.csv")
    assert (len(rows(found)), found.rows, found.unreadable, found.blank_lines) == (21, 27, 6, 2)
    assert found.unreadable_lines == (4, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "first line is empty"),
        ("a,b,c\n1,2,3\n", r"no column \(a, b, c\) has a name .* --columns user=NAME"),
        ("user,thing,time\nu,1,2\n", r"\(user, thing, time\) is known to hold the item.*--columns item=NAME"),
        ("user,item\nu,1\n", r"known to hold the time.*--columns time=none"),
        ("user,item,time\n", "no interactions"),
        ("user,item,time\nu,1,soon\nv,2,later\n", r"2 of 2 rows cannot be read, the first on line 2"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_remedy(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=rf"log\.csv: .*{complaint}"):
        read(tmp_path / "log.csv")


def test_what_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "log.csv")
    packed = gzip.compress(
        b"user,item,time\n" + b"".join(b"u%d,i%d,%d\n" % (n, n * 7919 % 9973, n) for n in range(40_000))
    )
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    for content in (packed[:5], packed[:12], packed[: len(packed) // 2], bytes(broken)):
        (tmp_path / "log.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"log\.gz: the compressed file is damaged .*again"):
            read(tmp_path / "log.gz")
    (tmp_path / "log.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="Parquet"):
        read(tmp_path / "log.parquet")
    (tmp_path / "log.csv").write_bytes("user,item,time\nJosé,1,2\n".encode("latin-1") * 3)
    with pytest.raises(DataError, match=r"UTF-?8"):
        read(tmp_path / "log.csv")


def test_unknown_columns_are_listed(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\nu,1,2\n")
    with pytest.raises(DataError, match=r"no column 'who' for user; it has user, item, time"):
        read(tmp_path / "log.csv", user="who")
    with pytest.raises(DataError, match="cannot be two things"):
        read(tmp_path / "log.csv", user="item")
