"""Named sets in their original files, from a folder, an archive and an address; and what stays in the cache of them."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsvc import registry
from recsvc.data import DataError, Request, Rules, acquire, read
from recsvc.data.keys import KEY_FILE
from recsvc.pseudonym import Pseudonymiser

FILES = {
    "ml-1m": {
        "ratings.dat": "user-77::2::5::20\nuser-77::1::4::10\nuser-78::2::3::5\n",
        "movies.dat": "1::Toy Story (1995)::Animation|Comedy\n2::Café: A::B Story (1996)::Drama\n3::New (2000)::War\n",
    },
    "ml-20m": {
        "ratings.csv": "userId,movieId,rating,timestamp\nuser-77,2,5.0,20\nuser-77,1,4,10\nuser-78,2,3,5\n",
        "movies.csv": 'movieId,title,genres\n1,"Toy, Story (1995)",Animation|Comedy\n2,Café,(no genres listed)\n',
    },
    "ml-100k": {
        "u.data": "user-77\t2\t5\t20\nuser-77\t1\t4\t10\nuser-78\t2\t3\t5\n",
        "u.item": f"1|Toy Story (1995)|||x{'|0' * 19}\n2|Café (1996)|||x{'|0' * 18}|1\n",
    },
}
TITLES = {
    "ml-1m": ("Toy Story", "Café: A::B Story"),
    "ml-20m": ("Toy, Story", "Café"),
    "ml-100k": ("Toy Story", "Café"),
}


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(params=sorted(FILES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    inside = tmp_path / "theirs" / name
    inside.mkdir(parents=True)
    for file, text in FILES[name].items():
        (inside / file).write_text(text, encoding="utf-8" if name == "ml-20m" else "latin-1")
    return inside.parent


@pytest.fixture
def archive(folder: Path, name: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in FILES[name]:
            zipped.write(folder / name / file, f"{name}/{file}")
    return path


@pytest.fixture
def address(archive: Path) -> Iterator[str]:
    """The archive on a server; ``/short`` announces more than it sends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = archive.read_bytes()
            self.send_response(200 if "missing" not in self.path else 404)
            self.send_header("Content-Length", str(len(content) + 99 * ("short" in self.path)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_folder_archive_and_address_give_the_same(
    name: str, folder: Path, archive: Path, address: str, tmp_path: Path
) -> None:
    found = {
        source: acquire(Request(name, source=source), tmp_path / "cache", silent)
        for source in (str(folder), str(archive), f"{address}/x.zip")
    }
    assert [acquired.source for acquired in found.values()] == ["path", "path", "url"]
    assert len({acquired.sha256 for acquired in found.values()}) == 1
    dataset = read(found[str(folder)])
    assert tuple(item.title for item in dataset.items[:2]) == TITLES[name]
    names = [[dataset.items[index - 1].id for index in sequence] for sequence in dataset.sequences]
    assert names == [["1", "2"], ["2"]]
    assert [times.tolist() for times in dataset.times_s] == [[10, 20], [5]]


def test_no_raw_user_id_and_nothing_downloaded_stays(name: str, address: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    acquired = acquire(Request(name, source=f"{address}/x.zip"), cache, silent)
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert len(kept) >= 4
    for path in kept:
        content = path.read_bytes()
        assert b"user-7" not in content, path
        assert not any(file.encode() in content for file in FILES[name]), f"{path} holds what was downloaded"
    key = cache / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    pseudonym = Pseudonymiser.from_file(key)
    assert read(acquired).users == (pseudonym("user-77"), pseudonym("user-78"))


def test_the_key_decides_what_users_are_called_and_not_what_is_learnt(name: str, folder: Path, tmp_path: Path) -> None:
    request = Request(name, source=str(folder))
    one, two = (acquire(request, tmp_path / cache, silent) for cache in ("one", "two"))
    assert one.sha256 == two.sha256
    assert not set(read(one).users) & set(read(two).users)
    (tmp_path / "key").write_text("k" * 20)
    own = acquire(Request(name, source=str(folder), key_file=tmp_path / "key"), tmp_path / "one", silent)
    assert own.sha256 != one.sha256, "a bundle that holds other pseudonyms than were asked for must not be found"
    assert own.interactions_sha256 == one.interactions_sha256
    assert read(own).users[0] == Pseudonymiser(b"k" * 20)("user-77")
    with pytest.raises(DataError, match=r"short: the key has 3 bytes.*--key-file"):
        (tmp_path / "short").write_text("abc")
        acquire(Request(name, source=str(folder), key_file=tmp_path / "short"), tmp_path / "one", silent)


def test_an_address_that_does_not_deliver_is_said_plainly(name: str, address: str, tmp_path: Path) -> None:
    for path, complaint in (("missing", "Not Found.*--source"), ("short", "broke off after|cannot be fetched")):
        with pytest.raises(DataError, match=complaint):
            acquire(Request(name, source=f"{address}/{path}"), tmp_path, silent)
    assert not list(tmp_path.glob("datasets/*"))


def test_a_file_that_changed_is_read_again_and_one_that_did_not_is_not(tmp_path: Path) -> None:
    file, cache = tmp_path / "orders.csv", tmp_path / "cache"
    file.write_text("user,item,time\nu1,a,1\nu1,b,2\n")
    request = Request(f"file:{file}", rules=Rules(min_user_interactions=1))
    first = acquire(request, cache, silent)
    stored = (first.folder / "source.json").stat().st_ino
    assert acquire(request, cache, silent) == first
    assert (first.folder / "source.json").stat().st_ino == stored
    assert (first.source, first.name) == ("file", "orders.csv")
    os.utime(file, ns=(1, 1))
    assert acquire(request, cache, silent).sha256 == first.sha256, "the content decides, not the time of the file"
    assert (first.folder / "source.json").stat().st_ino != stored
    file.write_text("user,item,time\nu1,a,1\nu1,b,2\nu1,c,3\n")
    assert acquire(request, cache, silent).sha256 != first.sha256


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("orders", "products"):
        (tmp_path / folder).mkdir()
    (tmp_path / "orders" / "all.csv").write_text("user,item,time\na,x,1\n")
    (tmp_path / "products" / "all.csv").write_text("id,title\nx,Lamp\n")
    request = Request(f"file:{tmp_path / 'orders' / 'all.csv'}", items=tmp_path / "products" / "all.csv")
    before = request.stamp()
    (tmp_path / "orders" / "all.csv").write_text("user,item,time\na,x,1\nb,x,2\n")
    assert len(before) == 2 and request.stamp() != before


def test_a_catalogue_describes_and_adds(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user,item,time\nu1,a,1\nu1,b,2\n")
    (tmp_path / "items.csv").write_text("id,title,price\nnew,Newest,3\nb,Bee,4\n")
    request = Request(f"file:{tmp_path / 'orders.csv'}", items=tmp_path / "items.csv")
    said: list[str] = []
    dataset = read(acquire(request, tmp_path / "cache", said.append))
    assert "items.csv describes 1 of the 2 items in the interactions" in said
    assert [(item.id, item.title, item.price) for item in dataset.items] == [
        ("new", "Newest", 3.0),
        ("b", "Bee", 4.0),
        ("a", "a", None),
    ]
    assert (dataset.cleaning.items_without_description, dataset.cleaning.items_without_interactions) == (1, 1)
    assert dataset.sequences[0].tolist() == [3, 2]


def test_a_line_that_was_taken_for_no_header_is_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("kunde,artikel\nk1,a1\n")
    numbered = {"user": "1", "item": "2", "time": "none"}
    for header, headerless in ({}, True), ({"header": "yes"}, False):
        request = Request(f"file:{tmp_path / 'orders.csv'}", columns=numbered | header)
        cleaning = read(acquire(request, tmp_path / "cache", silent)).cleaning
        assert (cleaning.headerless, cleaning.users) == (headerless, 1 + headerless)


def test_a_catalogue_of_another_shop_is_refused_and_nothing_stored(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user,item,time\nu1,a,1\nu1,b,2\n")
    (tmp_path / "items.csv").write_text("id,title\n17,Newest\n")
    request = Request(f"file:{tmp_path / 'orders.csv'}", items=tmp_path / "items.csv")
    with pytest.raises(DataError, match=r"items\.csv: column id: none of its 1 items is among the 2"):
        acquire(request, tmp_path / "cache", silent)
    assert not list((tmp_path / "cache").glob("datasets/*"))


def test_made_up_data_are_cleaned_and_named_as_was_asked(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 20)
    registry.write_atomically(tmp_path / "data" / "unreachable.json", json.dumps({"at": time.time()}).encode())
    request = Request("auto", rules=Rules(min_user_interactions=10_000), key_file=tmp_path / "key")
    with pytest.raises(DataError, match="none is left with at least 10000 a user"):
        acquire(request, tmp_path, silent)


def test_an_interrupted_storing_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user,item,time\nu1,a,1\n")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsvc.data.storage._learnt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        acquire(Request(f"file:{tmp_path / 'orders.csv'}"), tmp_path / "cache", silent)
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_what_a_killed_storing_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user,item,time\nu1,a,1\n")
    request = Request(f"file:{tmp_path / 'orders.csv'}")
    folder = request.folder(tmp_path / "cache")
    dead = folder.with_name(f".partial-{folder.name}-0123abcd")
    other = folder.with_name(f".partial-{folder.name}-0123456789-0123abcd")
    for left in (dead, other):
        left.mkdir(parents=True)
        (left / "interactions.npz").write_text("histories")
    acquired = acquire(request, tmp_path / "cache", silent)
    assert {path.name for path in folder.parent.iterdir()} == {acquired.folder.name, other.name}


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (Request("ml-9"), "no such data set. Choose auto, ml-100k"),
        (Request("synthetic", columns={"user": "a"}), "--data file:PATH"),
        (Request("file:/x", source="/y"), "--source is where a named"),
        (Request("ml-1m", source="/nowhere"), "No such file"),
    ],
)
def test_options_that_do_not_fit_are_refused(request_: Request, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        acquire(request_, tmp_path, silent)


def test_what_an_earlier_version_stored_is_taken_over_and_forgotten(tmp_path: Path) -> None:
    earlier = tmp_path / "data" / "ml-100k"
    earlier.mkdir(parents=True)
    lines = b"user-77\t2\t5\t20\nuser-77\t1\t4\t10\n"
    (earlier / "interactions.tsv").write_bytes(lines)
    (earlier / "items.json").write_text('[{"id": "1", "title": "T", "year": null, "genres": []}]')
    hashes = {"interactions.tsv": hashlib.sha256(lines).hexdigest()}
    (earlier / "source.json").write_text(json.dumps({"source": "recbole-wheel", "sha256": hashes}))
    acquired = acquire("ml-100k", tmp_path, silent)
    assert (acquired.source, read(acquired).sequences[0].tolist()) == ("recbole-wheel", [1, 2])
    assert not earlier.exists()
