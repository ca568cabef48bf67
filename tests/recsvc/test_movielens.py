"""The two published forms of MovieLens-100k, and what is done with bytes that are neither."""

from __future__ import annotations

import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsvc import movielens
from recsvc.bundle import Item
from recsvc.movielens import SourceError

U_DATA = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t1\t5\t881250949\n"
FLAGS = {
    "animated": "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0",
    "unknown": "1" + "|0" * 18,
    "drama": "0|0|0|0|0|0|0|0|1" + "|0" * 10,
}
U_ITEM = (
    f"1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)|{FLAGS['animated']}\n"
    f"242|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/M|{FLAGS['drama']}\n"
    f"267|unknown||||{FLAGS['unknown']}\n"
    f"302|Land Before Time III (1995) (V)|01-Jan-1995||http://us.imdb.com/M|{FLAGS['animated']}\n"
)
INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + U_DATA
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tToy Story\t1995\tAnimation Children's Comedy\n"
    "242\tMisérables, Les\t1995\tDrama\n"
    "267\tunkonwn\tunkonwn\tunknown\n"
    "302\tLand Before Time III (1995)\tV\tAnimation Children's Comedy\n"
)
ITEMS = (
    Item("1", "Toy Story", 1995, ("Animation", "Children's", "Comedy")),
    Item("242", "Misérables, Les", 1995, ("Drama",)),
    Item("267", "unknown", None, ()),
    Item("302", "Land Before Time III", 1995, ("Animation", "Children's", "Comedy")),
)


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(f"ml-100k/{name}", data)
    return content.getvalue()


OFFICIAL = archive({"u.data": U_DATA.encode(), "u.item": U_ITEM.encode("latin-1"), "u1.base": b"other"})
OFFICIAL_SHA256 = hashlib.sha256(U_DATA.encode()).hexdigest()


def test_the_official_archive_and_the_wheel_give_the_same_tables() -> None:
    official = movielens.parse_archive(OFFICIAL)
    assert official.interactions.decode() == U_DATA
    assert official.items == ITEMS
    assert movielens.parse_atomic(INTER, ITEM) == official


def test_ratings_and_times_written_as_floats_become_the_same_bytes() -> None:
    floats = INTER.replace("\t3\t", "\t3.0\t").replace("881250949", "881250949.0")
    assert movielens.parse_atomic(floats, ITEM).interactions.decode() == U_DATA


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>try later</html>", "not the MovieLens-100k archive"),
        (archive({"u.data": U_DATA.encode()}), "u.item"),
        (
            archive({"u.data": b"1,2,3\n", "u.item": U_ITEM.encode("latin-1")}),
            "not the MovieLens-100k archive",
        ),
        (archive({"u.data": U_DATA.encode(), "u.item": b"1|Toy Story (1995)|x\n"}), "not a line of u.item"),
        (OFFICIAL[: len(OFFICIAL) // 2], "not the MovieLens-100k archive"),
    ],
)
def test_anything_else_is_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        movielens.parse_archive(content)


def test_a_wheel_with_other_data_is_refused() -> None:
    wheel = archive({"ml-100k.inter": INTER.encode(), "ml-100k.item": ITEM.encode()})
    with pytest.raises(SourceError, match="SHA-256"):
        movielens.parse_wheel(wheel)


@pytest.fixture
def host() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server on loopback; the dictionary maps paths to what it answers."""
    answers: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = answers.get(self.path)
            self.send_response(200 if content is not None else 404)
            # A "short" answer announces more than it sends, as a broken connection does.
            self.send_header("Content-Length", str(len(content or b"") + (100 if "short" in self.path else 0)))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()
        thread.join()


def test_the_download_is_read_and_checked(host: tuple[str, dict[str, bytes]]) -> None:
    address, answers = host
    answers["/ml-100k.zip"] = answers["/short.zip"] = OFFICIAL
    url = f"{address}/ml-100k.zip"
    assert movielens.from_grouplens(url, expected_sha256=OFFICIAL_SHA256).items == ITEMS
    with pytest.raises(SourceError, match="expected 0641"):
        movielens.from_grouplens(url)
    with pytest.raises(SourceError, match=r"broke off|cannot be reached"):
        movielens.from_grouplens(f"{address}/short.zip", expected_sha256=OFFICIAL_SHA256)
    with pytest.raises(SourceError, match=r"404|Not Found"):
        movielens.from_grouplens(f"{address}/missing.zip")


def test_a_host_that_refuses_is_named() -> None:
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/ml.*cannot be reached"):
        movielens.from_grouplens("http://127.0.0.1:1/ml-100k.zip")


def test_without_pip_the_wheel_kept_for_new_environments_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide(monkeypatch, "pip")
    command = movielens.pip_command()
    assert command[1] != "-m"
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("pip ")


def test_with_neither_the_message_says_how_to_get_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide(monkeypatch, "pip", "ensurepip")
    monkeypatch.setattr(movielens.sysconfig, "get_config_var", lambda _: None)
    with pytest.raises(SourceError, match="-m ensurepip"):
        movielens.pip_command()


def test_a_failing_pip_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(Path(__file__).parent))
    with pytest.raises(SourceError, match=r"recbole==1\.2\.1: pip could not download it \(ERROR"):
        movielens.from_wheel()


def _hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    real = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
        return None if name in names else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
